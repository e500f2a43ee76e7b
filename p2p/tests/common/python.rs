//! Python with the one library that `examples/verify.py` needs.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

/// An interpreter that has `cryptography`: the system's, else one of our own that `pip` puts it into. Without either the caller skips,
/// unless `TENDER_CI` is set: there it must be had.
pub fn python() -> Option<&'static Path> {
    static FOUND: OnceLock<Option<PathBuf>> = OnceLock::new();
    let found = FOUND.get_or_init(|| {
        let found = find();
        assert!(
            found.is_some() || std::env::var_os("TENDER_CI").is_none(),
            "no python3 with `cryptography`, and it could not be installed"
        );
        if found.is_none() {
            eprintln!("skipped: no python3 with `cryptography`, and it could not be installed");
        }
        found
    });
    found.as_deref()
}

fn find() -> Option<PathBuf> {
    let system = PathBuf::from("python3");
    if imports(&system) {
        return Some(system);
    }
    let own = Path::new(env!("CARGO_TARGET_TMPDIR")).join("verify-py");
    let python = own.join("bin/python3");
    if imports(&python) {
        return Some(python);
    }
    let made = Command::new(system).args(["-m", "venv"]).arg(&own).status();
    if !made.is_ok_and(|status| status.success()) {
        return None;
    }
    let pip = ["-m", "pip", "install", "--quiet", "cryptography"];
    let _ = Command::new(&python).args(pip).status();
    imports(&python).then_some(python)
}

fn imports(python: &Path) -> bool {
    let line = "from cryptography.hazmat.primitives.asymmetric import ed25519";
    let ran = Command::new(python).args(["-c", line]).output();
    ran.is_ok_and(|done| done.status.success())
}

/// Runs `examples/verify.py`.
pub fn verify_py(python: &Path, certificate: &Path, genesis: &Path) -> super::Ran {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/verify.py");
    let args = [
        script.as_path(),
        certificate,
        Path::new("--genesis"),
        genesis,
    ];
    super::ran(Command::new(python).args(args))
}
