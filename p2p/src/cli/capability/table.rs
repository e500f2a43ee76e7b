//! `tender capability table`: what each built-in type costs on this machine, measured now.

use super::{out, prover};
use crate::{
    agent::{bidding::random, error::Failure},
    cli::table::{Table, amount},
};
use clap::Args;
use serde::Serialize;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tender_circuits::{
    Capability, Claim, ClaimSchema, FieldValue, IssuerIndex, ProofBytes, ProvingKey, Rule,
    prove::prove, trial::Trial, types, verify::verify,
};
use tender_wire::{FieldBytes, UnixTime};

/// Verifications per proof, which are fast.
const VERIFICATIONS_PER_PROOF: u16 = 8;

#[derive(Debug, Args)]
pub(in crate::cli) struct TableArgs {
    /// How often to prove with each type; the median counts
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = clap::value_parser!(u16).range(1..=1000))]
    runs: u16,
    /// Print the figures as JSON
    #[arg(long, conflicts_with = "markdown")]
    json: bool,
    /// Print the table in Markdown
    #[arg(long)]
    markdown: bool,
}

/// One type's figures.
#[derive(Debug, Serialize)]
struct Figures {
    #[serde(rename = "type")]
    label: String,
    constraints: usize,
    public_inputs: usize,
    setup_us: u64,
    load_us: u64,
    prove_us: u64,
    verify_us: u64,
    proving_key_bytes: usize,
    verifying_key_bytes: usize,
    proof_bytes: usize,
}

impl TableArgs {
    pub(super) fn run(self) -> Result<(), Failure> {
        let machine = machine();
        let figures = types::all()
            .into_iter()
            .map(|circuit| measured(circuit, self.runs))
            .collect::<Result<Vec<_>, _>>()?;
        if self.json {
            return out::json(
                &serde_json::json!({ "machine": machine, "prove_runs": self.runs, "types": figures }),
            );
        }
        let about = format!(
            "{machine}; median of {} proofs and {} verifications, the prover's own checks included",
            self.runs,
            self.runs.saturating_mul(VERIFICATIONS_PER_PROOF)
        );
        if self.markdown {
            out::say(markdown(&figures));
            out::say(format_args!("\nMeasured on {about}."));
        } else {
            out::say(plain(&figures));
            out::say(format_args!("  on {about}"));
        }
        Ok(())
    }
}

const HEADINGS: [&str; 10] = [
    "type",
    "constraints",
    "public inputs",
    "setup",
    "load key",
    "prove",
    "verify",
    "proving key",
    "verifying key",
    "proof",
];

impl Figures {
    fn cells(&self) -> [String; 10] {
        let bytes = |n: usize| format!("{} B", amount(n as u64));
        [
            self.label.clone(),
            amount(self.constraints as u64),
            self.public_inputs.to_string(),
            time(self.setup_us),
            time(self.load_us),
            time(self.prove_us),
            time(self.verify_us),
            bytes(self.proving_key_bytes),
            bytes(self.verifying_key_bytes),
            bytes(self.proof_bytes),
        ]
    }
}

fn plain(figures: &[Figures]) -> String {
    let mut table = Table::new(HEADINGS);
    figures.iter().for_each(|f| table.row(f.cells()));
    table.to_string().trim_end().to_owned()
}

fn markdown(figures: &[Figures]) -> String {
    let line = |cells: &[String]| format!("| {} |", cells.join(" | "));
    let mut lines = vec![
        line(&HEADINGS.map(str::to_owned)),
        format!("|---|{}", "---:|".repeat(HEADINGS.len().saturating_sub(1))),
    ];
    lines.extend(figures.iter().map(|f| line(&f.cells())));
    lines.join("\n")
}

/// Microseconds in the unit that reads best.
fn time(us: u64) -> String {
    match us {
        0..10_000 => format!("{}.{:02} ms", us / 1000, us % 1000 / 10),
        10_000..1_000_000 => format!("{} ms", us / 1000),
        _ => format!("{}.{:02} s", us / 1_000_000, us % 1_000_000 / 10_000),
    }
}

fn micros(took: Duration) -> u64 {
    u64::try_from(took.as_micros()).unwrap_or(u64::MAX)
}

fn median(mut times: Vec<u64>) -> u64 {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or(0)
}

fn measured(circuit: Arc<dyn Capability>, runs: u16) -> Result<Figures, Failure> {
    let broken = |e: String| Failure::new(e, "please report this");
    let started = Instant::now();
    let (key, record) = prover::setup_from(circuit.clone(), random()?)?;
    let setup_us = micros(started.elapsed());
    let file = key.to_bytes();
    let started = Instant::now();
    let key =
        ProvingKey::parse(&file, circuit.clone(), &record).map_err(|e| broken(e.to_string()))?;
    let load_us = micros(started.elapsed());

    let attributes = sample(&circuit.attributes(), None);
    let trial = Trial {
        claim: sample(&record.schema, Some((&circuit.attributes(), &attributes))),
        attributes,
        serial: "measured".into(),
        issuer: IssuerIndex::new(0).map_err(|e| broken(e.to_string()))?,
        issuers: IssuerIndex::new(0).into_iter().collect(),
        expiry: UnixTime(2_000_000_000),
        valid_until: UnixTime(1_900_000_000),
    };
    let staged = trial
        .stage(&record, &random()?)
        .map_err(|e| broken(e.to_string()))?;
    let (mut prove_us, mut verify_us) = (Vec::new(), Vec::new());
    for _ in 0..runs {
        let seed = random()?;
        let started = Instant::now();
        let proof = prove(
            &key,
            &staged.credential,
            &staged.path,
            &staged.statement,
            seed,
        )
        .map_err(|e| broken(format!("{}: {e}", record.label())))?;
        prove_us.push(micros(started.elapsed()));
        for _ in 0..VERIFICATIONS_PER_PROOF {
            let started = Instant::now();
            verify(key.verifying_key(), &staged.statement, &proof)
                .map_err(|e| broken(format!("{}: {e}", record.label())))?;
            verify_us.push(micros(started.elapsed()));
        }
    }
    Ok(Figures {
        label: record.label(),
        constraints: key.constraints(),
        public_inputs: record.inputs(),
        setup_us,
        load_us,
        prove_us: median(prove_us),
        verify_us: median(verify_us),
        proving_key_bytes: file.len(),
        verifying_key_bytes: record.vk.len(),
        proof_bytes: ProofBytes::LEN,
    })
}

/// Some value of a schema; of a claim, one that attributes with the same field names support.
fn sample(schema: &ClaimSchema, attested: Option<(&ClaimSchema, &Claim)>) -> Claim {
    let value = |field: &tender_circuits::ClaimField| {
        let same = attested.and_then(|(schema, values)| {
            let (index, known) = schema.field(&field.name)?;
            values.0.get(index).filter(|_| known.rule == field.rule)
        });
        same.copied().unwrap_or(match field.rule {
            Rule::AtLeast { .. } if attested.is_some() => FieldValue::Amount(0),
            Rule::AtLeast { .. } => FieldValue::Amount(1000),
            Rule::HasAll | Rule::Within => FieldValue::Mask(1),
            Rule::Equals => FieldValue::Exact(FieldBytes::from_u64(1)),
        })
    };
    Claim(schema.fields.iter().map(value).collect())
}

/// The machine in a line: processor, cores, system, and how this program was built.
fn machine() -> String {
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("unknown processor", |(_, model)| model.trim());
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let build = if cfg!(debug_assertions) {
        "a debug build: slower than --release"
    } else {
        "a release build"
    };
    format!(
        "{model}, {cores} cores, {} {}, tender {} ({build})",
        std::env::consts::OS,
        std::env::consts::ARCH,
        env!("CARGO_PKG_VERSION")
    )
}
