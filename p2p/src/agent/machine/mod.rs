//! What this machine has, in the units of `resources/v1`: the inventory an issuer is asked to attest.
//!
//! Invariant: a figure is what the operating system or a driver says, or what a person says; none is guessed. One that cannot be seen is
//! left out, and its [`Finding`] says why and how to give it. Where two sources differ (a container's limit, two kinds of GPU), the
//! smaller figure counts.
//!
//! Bounds: every file read is capped at [`MAX_TEXT`] bytes, every directory at [`MAX_ENTRIES`] entries.

pub(crate) mod gpu;
mod host;
mod models;

pub use gpu::{Gpu, Gpus};
pub use models::label_of;

use crate::documents::{inventory::InventoryFile, names::Named};
use std::path::Path;
use tender_circuits::{ClaimSchema, NamedValue, names::NameError, types::resources};

/// Largest text read from the system, in bytes: a figure or a name.
pub(crate) const MAX_TEXT: u64 = 4096;
/// Most entries of one directory looked at: devices, interfaces.
pub(crate) const MAX_ENTRIES: usize = 4096;

/// What people say of a machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Given {
    /// Serial number, instead of what the system says.
    pub serial: Option<String>,
    /// What it is, for people.
    pub about: Option<String>,
    /// Where it stands.
    pub region: Option<String>,
    /// What it can do.
    pub skills: Vec<String>,
    /// Labels of its GPUs, where their names are none; `none` to leave its GPUs out.
    pub gpu_models: Vec<String>,
    /// Network bandwidth in Mbit/s, instead of the link's speed.
    pub bandwidth_mbps: Option<u32>,
}

/// One line of the inventory: a figure and where it comes from, or why there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The field, or `serial`.
    pub field: &'static str,
    /// Its value, if one was seen or given.
    pub value: Option<NamedValue>,
    /// Where it comes from; without a value, why it is not known and how to give it.
    pub source: String,
}

impl Finding {
    fn seen(field: &'static str, value: u64, source: impl Into<String>) -> Self {
        // What is attested is 32 bits wide; a machine with more of anything is attested for that much.
        let value = NamedValue::Number(value.min(u64::from(u32::MAX)));
        Finding {
            field,
            value: Some(value),
            source: source.into(),
        }
    }

    fn text(field: &'static str, value: impl Into<String>, source: impl Into<String>) -> Self {
        Finding {
            field,
            value: Some(NamedValue::Text(value.into())),
            source: source.into(),
        }
    }

    fn labels(field: &'static str, value: Vec<String>, source: impl Into<String>) -> Self {
        Finding {
            field,
            value: Some(NamedValue::List(value)),
            source: source.into(),
        }
    }

    fn unseen(field: &'static str, source: impl Into<String>) -> Self {
        Finding {
            field,
            value: None,
            source: source.into(),
        }
    }
}

/// A machine as it was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Survey {
    /// The serial number, then the fields of `resources/v1` in their order.
    pub findings: Vec<Finding>,
    /// What it is, for people.
    pub about: Option<String>,
}

/// Why something said of a machine is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GivenError {
    /// No such label.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A GPU model is named where no GPU is seen.
    #[error("--gpu-model names the model of GPUs that are seen, and none is: {why}")]
    NoGpu {
        /// Why none is seen.
        why: String,
    },
    /// An empty serial number.
    #[error("--serial is empty")]
    Serial,
}

/// Looks at this machine.
///
/// # Errors
/// [`GivenError`] if what is given is refused; what cannot be seen is no error.
pub fn survey(given: &Given) -> Result<Survey, GivenError> {
    let sys = Path::new("/sys");
    survey_of(given, &host::Host::look(sys), &Gpus::look(sys))
}

fn survey_of(given: &Given, host: &host::Host, gpus: &Gpus) -> Result<Survey, GivenError> {
    let schema = resources::schema();
    check(given, gpus, &schema)?;
    let mut findings = vec![host.serial(given.serial.as_deref())];
    findings.extend([host.cpu(), host.memory()]);
    let [count, memory, model] = gpus.findings(&given.gpu_models);
    findings.push(count);
    findings.extend([host.disk(), host.bandwidth(given.bandwidth_mbps)]);
    findings.extend([
        memory,
        model,
        region(given, &schema),
        host.skills(&given.skills),
    ]);
    Ok(Survey {
        findings,
        about: given.about.clone().or_else(|| about(host, gpus)),
    })
}

/// Refuses labels that the type does not have, before anything is written.
fn check(given: &Given, gpus: &Gpus, schema: &ClaimSchema) -> Result<(), GivenError> {
    if given.serial.as_ref().is_some_and(|it| it.trim().is_empty()) {
        return Err(GivenError::Serial);
    }
    let mut named = Named::new();
    let mut list = |field: &str, labels: &[String]| {
        if !labels.is_empty() {
            named.insert(field.to_owned(), NamedValue::List(labels.to_vec()));
        }
    };
    list("region", given.region.as_slice());
    list("skills", &given.skills);
    list("gpu_model", &given.gpu_models);
    schema.claim_from_named(&named)?;
    let leaves_out = given
        .gpu_models
        .iter()
        .all(|it| it.eq_ignore_ascii_case(gpu::NONE));
    if gpus.found.is_empty() && !leaves_out {
        return Err(GivenError::NoGpu {
            why: gpus.note.clone(),
        });
    }
    Ok(())
}

fn region(given: &Given, schema: &ClaimSchema) -> Finding {
    let known = schema
        .field("region")
        .map_or_else(String::new, |(_, f)| f.labels.join(", "));
    match &given.region {
        Some(region) => Finding::text("region", region.clone(), "given"),
        None => Finding::unseen(
            "region",
            format!("a machine cannot see where it stands: give --region NAME, one of {known}"),
        ),
    }
}

fn about(host: &host::Host, gpus: &Gpus) -> Option<String> {
    let parts: Vec<_> = gpus.counted().into_iter().chain(host.cpu_name()).collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

impl Survey {
    /// The inventory file: everything that is known.
    pub fn file(&self) -> InventoryFile {
        let serial = self.findings.iter().find(|it| it.field == SERIAL);
        let serial = match serial.and_then(|it| it.value.clone()) {
            Some(NamedValue::Text(text)) => text,
            _ => String::new(),
        };
        let known = self.findings.iter().filter(|it| it.field != SERIAL);
        let attributes = known.filter_map(|it| Some((it.field.to_owned(), it.value.clone()?)));
        InventoryFile {
            about: self.about.clone(),
            serial,
            type_name: "resources/v1".into(),
            attributes: attributes.collect(),
        }
    }

    /// What is not known.
    pub fn unseen(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|it| it.value.is_none())
    }

    /// What an issuer cannot do without and is not known: the serial number, and fields that have no value meaning nothing.
    pub fn missing(&self) -> impl Iterator<Item = &Finding> {
        let needed = [SERIAL, "gpu_model", "region"];
        self.unseen().filter(move |it| needed.contains(&it.field))
    }
}

const SERIAL: &str = "serial";

/// The first line of a small file, trimmed; `None` if it cannot be read, is empty or too large.
fn read(path: &Path) -> Option<String> {
    use std::io::Read as _;
    let mut text = String::new();
    let file = std::fs::File::open(path).ok()?;
    let most = MAX_TEXT.saturating_add(1);
    let read = file.take(most).read_to_string(&mut text).ok()?;
    if read as u64 > MAX_TEXT {
        return None;
    }
    let line = text.lines().next()?.trim_matches(['\0', ' ', '\t']);
    (!line.is_empty()).then(|| line.to_owned())
}

/// The entries of a directory in name order; none if it cannot be read.
fn entries(directory: &Path) -> Vec<std::path::PathBuf> {
    let found = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let mut paths: Vec<_> = found.take(MAX_ENTRIES).map(|e| e.path()).collect();
    paths.sort();
    paths
}

#[cfg(test)]
mod tests;
