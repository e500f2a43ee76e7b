//! Tells the program how it was built, for `tender bench`: compiler, target, profile. Needs neither git nor network; a commit is named only if
//! `TENDER_COMMIT` is set while building.

use std::{env, process::Command};

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let compiler = env::var_os("RUSTC").and_then(|rustc| {
        let output = Command::new(rustc).arg("--version").output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        Some(text.trim().to_owned())
    });
    let known = |name: &str| env::var(name).unwrap_or_default();
    for (name, value) in [
        ("TENDER_RUSTC", compiler.unwrap_or_default()),
        ("TENDER_TARGET", known("TARGET")),
        ("TENDER_PROFILE", known("PROFILE")),
        ("TENDER_OPT_LEVEL", known("OPT_LEVEL")),
    ] {
        println!("cargo:rustc-env={name}={value}");
    }
}
