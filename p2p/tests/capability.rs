//! `tender capability` as a circuit developer uses it: files in, files out, exit codes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

mod common;

use common::{Ran, tender};
use serde_json::{Value, json};
use std::{
    path::{Path, PathBuf},
    sync::OnceLock,
};
use tempfile::TempDir;

/// Something done to a file.
type Change<'a> = &'a dyn Fn(&mut Value);

/// A directory with `resources/v1`'s keys, attributes, a claim, its proof, and the proof for snarkjs.
struct Desk(TempDir);

fn desk() -> &'static Desk {
    static DESK: OnceLock<Desk> = OnceLock::new();
    DESK.get_or_init(|| {
        let desk = Desk(tempfile::tempdir().unwrap());
        desk.capability(&["setup", "resources/v1", "--output", "keys"])
            .ok();
        desk.write(
            "attributes.json",
            &json!({ "cpu_milli": 64000, "gpu_milli": 8000, "gpu_model": "A100", "region": "uk", "skills": ["cuda"] }),
        );
        desk.write("claim.json", &json!({ "cpu_milli": 8000, "skills": "cuda" }));
        desk.prove("claim.json", &[]).ok();
        desk.capability(&["export", "--format", "snarkjs", "--type", "keys", "--output", "js"])
            .ok();
        desk
    })
}

impl Desk {
    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, value: &Value) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, serde_json::to_vec(value).unwrap()).unwrap();
    }

    fn read(&self, name: &str) -> Value {
        serde_json::from_slice(&std::fs::read(self.path(name)).unwrap()).unwrap()
    }

    /// Runs in the directory.
    fn capability(&self, args: &[&str]) -> Ran {
        let done = std::process::Command::new(env!("CARGO_BIN_EXE_tender"))
            .arg("capability")
            .args(args)
            .current_dir(self.0.path())
            .output()
            .unwrap();
        Ran {
            code: done.status.code().unwrap_or(-1),
            out: String::from_utf8(done.stdout).unwrap(),
            err: String::from_utf8(done.stderr).unwrap(),
        }
    }

    fn prove(&self, claim: &str, more: &[&str]) -> Ran {
        let mut args = vec!["prove", "--type", "keys", "--attributes", "attributes.json"];
        args.extend(["--claim", claim]);
        args.extend(more);
        self.capability(&args)
    }

    /// Verifies with one of the two files replaced by a changed copy.
    fn verify_changed(&self, flag: &str, name: &str, change: impl Fn(&mut Value)) -> Ran {
        let source = format!("{}.json", flag.trim_start_matches("--"));
        let mut value = self.read(&source);
        change(&mut value);
        self.write(name, &value);
        self.capability(&["verify", "--type", "keys", flag, name])
    }
}

/// The trimmed line of the source that `…, FILE:LINE` in a message names; the last such of that file.
fn source_line(message: &str, file: &str) -> String {
    let at = message
        .rfind(&format!("{file}:"))
        .unwrap_or_else(|| panic!("{file} in {message}"));
    let digits: String = message[at + file.len() + 1..]
        .chars()
        .take_while(char::is_ascii_digit)
        .collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let text = std::fs::read_to_string(root.join(file)).unwrap();
    let line: usize = digits.parse().unwrap();
    text.lines().nth(line - 1).unwrap().trim().to_owned()
}

#[test]
fn setup_is_loudly_insecure_and_overwrites_nothing() {
    let desk = desk();
    let again = desk.capability(&["setup", "resources/v1", "--output", "keys"]);
    again.fails(1, &["type.json", "never overwritten", "next:"]);
    desk.capability(&["setup", "resources/v9", "--output", "other"])
        .fails(2, &["resources/v9", "use one of: resources/v1"]);
    let made = desk.capability(&["setup", "resources/v1", "--output", "fresh", "--json"]);
    assert!(made.err.contains("WARNING: INSECURE"), "{}", made.err);
    let made = made.json();
    assert_ne!(
        made["type_id"],
        desk.capability(&["inspect", "keys", "--json"]).json()["type_id"]
    );

    // the seed of testnets gives the type of testnets
    let published = [
        "setup",
        "resources/v1",
        "--output",
        "published",
        "--published-dev-seed",
    ];
    let made = desk.capability(&published);
    assert!(made.err.contains("ANYBODY can forge"), "{}", made.err);
    made.ok();
    let net = desk.path("net");
    tender([
        "testnet",
        "--followers",
        "0",
        "--output",
        net.to_str().unwrap(),
    ])
    .ok();
    let genesis = desk.read("net/genesis.json");
    let record = desk.read("published/type.json");
    assert!(
        genesis
            .as_object()
            .unwrap()
            .values()
            .any(|field| { field.as_array().is_some_and(|all| all.contains(&record)) }),
        "genesis lists the very record"
    );
}

#[test]
fn what_is_proven_verifies_and_what_is_changed_exits_3() {
    let desk = desk();
    let said = desk.capability(&["verify", "--type", "keys"]).ok();
    assert!(
        said.contains("holds: resources/v1") && said.contains("cpu_milli 8000"),
        "{said}"
    );
    assert!(said.contains("INSECURE"), "{said}");

    let refused: [(&str, &str, Change, &str); 7] = [
        (
            "--public",
            "more.json",
            &|v| v["claim"]["cpu_milli"] = json!(8001),
            "does not hold for this statement",
        ),
        (
            "--public",
            "holder.json",
            &|v| v["holder"] = v["asset"].clone(),
            "does not hold for this statement",
        ),
        (
            "--public",
            "large.json",
            &|v| v["ctx"] = json!("f".repeat(64)),
            "public input 2 is not a canonical",
        ),
        (
            "--public",
            "type.json",
            &|v| v["type_id"] = v["holder"].clone(),
            "the statement is of type",
        ),
        (
            "--public",
            "field.json",
            &|v| v["claim"]["cpus"] = json!(1),
            "no field is named `cpus`",
        ),
        (
            "--proof",
            "ones.json",
            &|v| v["proof"] = json!("f".repeat(256)),
            "do not decode to curve points",
        ),
        (
            "--proof",
            "short.json",
            &|v| v["proof"] = json!("00"),
            "short.json:1:",
        ),
    ];
    for (flag, name, change, says) in refused {
        desk.verify_changed(flag, name, change)
            .fails(3, &["does not hold", says, "next:"]);
    }
    // no verdict without the files, or without a sound record
    desk.capability(&["verify", "--type", "keys", "--proof", "nowhere.json"])
        .fails(1, &["nowhere.json"]);
    let mut record = desk.read("keys/type.json");
    let vk = record["vk"].as_str().unwrap().to_owned();
    record["vk"] = json!(format!("{}{}", &vk[..vk.len() - 64], "ff".repeat(32)));
    desk.write("broken-type.json", &record);
    desk.capability(&["verify", "--type", "broken-type.json"])
        .fails(1, &["broken-type.json", "verifying key"]);
    desk.capability(&["verify"]).fails(2, &["--type"]);
}

#[test]
fn a_false_claim_names_the_constraint_and_its_line() {
    let desk = desk();
    desk.write("false.json", &json!({ "cpu_milli": 64001 }));
    let refused = desk.prove("false.json", &["--output", "false"]);
    let said = refused.fails(
        1,
        &[
            "claims 64001, attested 64000",
            "`cpu_milli/attested covers claimed`",
            "next:",
        ],
    );
    assert_eq!(
        source_line(&said, "circuits/src/gadgets/range.rs"),
        "b.enforce_equal(&sum, num);"
    );
    assert!(source_line(&said, "circuits/src/capability.rs").contains("b.scope(&field.name"));
    assert!(!desk.path("false").exists(), "nothing is written");

    desk.write("skills.json", &json!({ "skills": ["cuda", "rocm"] }));
    let said = desk
        .prove("skills.json", &[])
        .fails(1, &["claims rocm, which is not attested"]);
    let line = source_line(&said, "circuits/src/gadgets/mask.rs");
    assert_eq!(line, "b.enforce_product(i, &absent, &zero);");

    // so do statements that are false for other reasons than the claim
    let said = desk
        .prove("claim.json", &["--expiry", "1800000000"])
        .fails(1, &["expires at", "`expiry/not before valid_until`"]);
    assert_eq!(
        source_line(&said, "circuits/src/gadgets/range.rs"),
        "b.enforce_equal(&sum, num);"
    );
    let said = desk
        .prove("claim.json", &["--issuer", "3", "--issuers", "1,2"])
        .fails(1, &["issuer 3", "`issuer/is one of issuers`"]);
    assert!(source_line(&said, "circuits/src/circuit.rs").contains("b.enforce_equal(&bit"));
}

#[test]
fn mistakes_in_files_say_what_and_where() {
    let desk = desk();
    desk.write("unknown.json", &json!({ "cpus": 1 }));
    desk.prove("unknown.json", &[]).fails(
        1,
        &[
            "unknown.json",
            "no field is named `cpus`; known fields: cpu_milli",
            "inspect",
        ],
    );
    std::fs::write(desk.path("no.json"), "{ \"cpu_milli\": }").unwrap();
    desk.prove("no.json", &[]).fails(1, &["no.json:1:"]);
    let other = ["setup", "resources/v1", "--output", "second"];
    desk.capability(&other).ok();
    let (key, key_flag) = (desk.path("second/type.pk"), "--key");
    desk.prove("claim.json", &[key_flag, key.to_str().unwrap()])
        .fails(1, &["type.pk", "this proving key is for type"]);
    desk.prove("claim.json", &[key_flag, "nowhere.pk"])
        .fails(1, &["nowhere.pk does not exist"]);
}

#[test]
fn an_export_comes_back_and_verifies() {
    let desk = desk();
    let said = desk.capability(&["verify", "--snarkjs", "js"]).ok();
    assert!(
        said.contains("holds: a proof of 15 public inputs"),
        "{said}"
    );
    let key = desk.read("js/verification_key.json");
    assert_eq!(
        (&key["protocol"], &key["curve"]),
        (&json!("groth16"), &json!("bn128"))
    );
    assert_eq!(
        (&key["nPublic"], key["IC"].as_array().unwrap().len()),
        (&json!(15), 16)
    );
    assert_eq!(key["vk_beta_2"][2], json!(["1", "0"]));
    let public = desk.read("js/public.json");
    assert_eq!(
        public[6], "8000",
        "the claim follows the six inputs of every type"
    );

    let changed = |name: &str, file: &str, change: Change| {
        for part in ["verification_key.json", "proof.json", "public.json"] {
            let mut value = desk.read(&format!("js/{part}"));
            if part == file {
                change(&mut value);
            }
            desk.write(&format!("{name}/{part}"), &value);
        }
        desk.capability(&["verify", "--snarkjs", name])
    };
    changed("js-flipped", "public.json", &|v| v[6] = json!("8001"))
        .fails(3, &["does not hold for this statement"]);
    changed("js-short", "public.json", &|v| {
        drop(v.as_array_mut().unwrap().pop())
    })
    .fails(3, &["takes 15 public inputs, the statement has 14"]);
    changed("js-point", "proof.json", &|v| v["pi_a"][0] = json!("1"))
        .fails(3, &["pi_a is not an affine point"]);
    changed("js-key", "verification_key.json", &|v| {
        v["vk_gamma_2"] = v["vk_delta_2"].clone()
    })
    .fails(1, &["verification_key.json", "equal or opposite"]);
    desk.capability(&["export", "--type", "keys", "--output", "."])
        .fails(1, &["proof.json exists", "next:"]);
}

/// A circuit from elsewhere, as far as a verifier sees it: a key in snarkjs' layout, a schema, a file of constraints.
#[test]
fn a_foreign_circuit_becomes_a_type_whose_proofs_verify() {
    use sha2::{Digest as _, Sha256};
    let desk = desk();
    let record = desk.read("keys/type.json");
    desk.write("schema.json", &record["schema"]);
    std::fs::write(desk.path("circuit.r1cs"), b"constraints").unwrap();
    std::fs::write(desk.path("transcript"), b"contributions").unwrap();
    let import = |more: &[&str]| {
        let mut args = vec![
            "import",
            "--key",
            "js/verification_key.json",
            "--r1cs",
            "circuit.r1cs",
        ];
        args.extend(["--name", "foreign"]);
        args.extend(more);
        desk.capability(&args)
    };
    let said = import(&["--schema", "schema.json", "--output", "foreign"]).ok();
    assert!(
        said.contains("foreign/v1: 15 public inputs") && said.contains("INSECURE"),
        "{said}"
    );
    let made = desk.read("foreign/type.json");
    assert_eq!(
        (&made["vk"], &made["schema"]),
        (&record["vk"], &record["schema"])
    );
    let hash = |bytes: &[u8]| json!(tender_wire::hex::encode(Sha256::digest(bytes)));
    assert_eq!(made["r1cs_hash"], hash(b"constraints"));
    let said = desk.capability(&["inspect", "foreign"]).ok();
    assert!(
        said.contains("this program has no circuit of that name"),
        "{said}"
    );

    let id = desk.capability(&["inspect", "foreign", "--json"]).json()["type_id"].clone();
    for part in ["proof", "public"] {
        let mut file = desk.read(&format!("{part}.json"));
        file["type_id"] = id.clone();
        desk.write(&format!("foreign/{part}.json"), &file);
    }
    let files = [
        "--proof",
        "foreign/proof.json",
        "--public",
        "foreign/public.json",
    ];
    let verify = [&["verify", "--type", "foreign"][..], &files].concat();
    desk.capability(&verify).ok();

    let beacon = "5".repeat(64);
    let beacon = beacon.as_str();
    let ceremony = [
        "--transcript",
        "transcript",
        "--contributions",
        "3",
        "--beacon",
        beacon,
    ];
    let place = ["--schema", "schema.json", "--output", "ceremony"];
    let said = import(&[&place[..], &ceremony].concat()).ok();
    assert!(
        said.contains("a ceremony: sound if one contributor"),
        "{said}"
    );
    let made = desk.read("ceremony/type.json");
    let expected = json!({ "ceremony": { "transcript": hash(b"contributions"), "contributions": 3, "beacon": beacon } });
    assert_eq!(made["setup"], expected);

    let mut short = record["schema"].clone();
    short["fields"].as_array_mut().unwrap().pop();
    desk.write("short-schema.json", &short);
    import(&["--schema", "short-schema.json", "--output", "short"])
        .fails(1, &["takes 15 public inputs", "8 fields are 14"]);
    import(&["--schema", "schema.json", "--output", "foreign"]).fails(1, &["exists", "next:"]);
    import(&[
        "--schema",
        "schema.json",
        "--output",
        "x",
        "--beacon",
        beacon,
    ])
    .fails(2, &["--transcript"]);
    assert!(!desk.path("short").exists() && !desk.path("x").exists());
}

#[test]
fn inspect_tells_every_kind_of_file_and_refuses_garbage() {
    let desk = desk();
    for (file, kind, says) in [
        ("keys", "a capability type's record", "INSECURE"),
        ("keys/type.pk", "a proving key", "6,905"),
        ("proof.json", "a proof", "type id"),
        ("public.json", "the statement of a proof", "registry_root"),
        (
            "js/verification_key.json",
            "a verifying key in snarkjs' layout",
            "15",
        ),
        ("js/proof.json", "a proof in snarkjs' layout", "proof"),
        ("js/public.json", "public inputs in snarkjs' layout", "14"),
    ] {
        let said = desk.capability(&["inspect", file]).ok();
        assert!(
            said.lines().next().unwrap().ends_with(kind),
            "{file}: {said}"
        );
        assert!(said.contains(says), "{file}: {said}");
        let data = desk.capability(&["inspect", file, "--json"]).json();
        assert_eq!(
            (&data["kind"], &data["problem"]),
            (&json!(kind), &json!(null))
        );
    }
    let data = desk.capability(&["inspect", "keys", "--json"]).json();
    assert_eq!(
        (&data["setup"], &data["inputs"]),
        (&json!("dev"), &json!(15))
    );
    assert_eq!(data["circuit"]["constraints"], 6_905);
    assert_eq!(data["circuit_matches"], true);
    assert_eq!(data["schema"], desk.read("keys/type.json")["schema"]);
    let vk = tender_wire::hex::decode(desk.read("keys/type.json")["vk"].as_str().unwrap()).unwrap();
    std::fs::write(desk.path("bare.vk"), vk).unwrap();
    assert!(
        desk.capability(&["inspect", "bare.vk"])
            .ok()
            .contains("verifying key")
    );

    std::fs::write(desk.path("empty"), "").unwrap();
    std::fs::write(desk.path("words"), "hello").unwrap();
    std::fs::write(desk.path("zeros"), [0u8; 288]).unwrap();
    std::fs::write(desk.path("other.json"), "{}").unwrap();
    std::fs::write(desk.path("torn.json"), "{\"vk\": ").unwrap();
    let mut key = std::fs::read(desk.path("keys/type.pk")).unwrap();
    std::fs::write(desk.path("head.pk"), &key[..50]).unwrap();
    std::fs::write(desk.path("torn.pk"), &key[..key.len() - 1]).unwrap();
    *key.last_mut().unwrap() ^= 1;
    std::fs::write(desk.path("flipped.pk"), key).unwrap();
    for (file, says) in [
        ("nowhere", "does not exist"),
        ("empty", "0 bytes of no file"),
        ("words", "5 bytes of no file"),
        ("zeros", "288 bytes; as a verifying key:"),
        ("other.json", "JSON, but no file of a capability type"),
        ("torn.json", "torn.json:1:"),
        ("head.pk", "not a proving key file"),
        ("torn.pk", "bytes long, this circuit's is"),
        ("flipped.pk", "does not match its checksum"),
    ] {
        desk.capability(&["inspect", file])
            .fails(1, &[file, says, "next:"]);
    }
}

#[test]
fn the_table_holds_every_built_in_type() {
    let desk = desk();
    let data = desk.capability(&["table", "--runs", "1", "--json"]).json();
    let types: Vec<_> = tender_circuits::types::all()
        .iter()
        .map(|c| format!("{}/v{}", c.name(), c.version()))
        .collect();
    let rows = data["types"].as_array().unwrap();
    let listed: Vec<_> = rows
        .iter()
        .map(|row| row["type"].as_str().unwrap())
        .collect();
    assert_eq!(listed, types);
    for row in rows {
        for figure in [
            "constraints",
            "public_inputs",
            "setup_us",
            "prove_us",
            "verify_us",
            "proving_key_bytes",
            "verifying_key_bytes",
        ] {
            assert!(row[figure].as_u64().unwrap() > 0, "{figure}: {row}");
        }
        assert_eq!(row["proof_bytes"], 128);
    }
    assert!(data["machine"].as_str().unwrap().contains("cores"));
    let markdown = desk
        .capability(&["table", "--runs", "1", "--markdown"])
        .ok();
    assert!(markdown.starts_with("| type | constraints |"), "{markdown}");
    assert_eq!(
        markdown.lines().filter(|l| l.starts_with('|')).count(),
        types.len() + 2
    );
}
