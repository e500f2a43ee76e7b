//! What the README tells people to type: `tender` commands parse, `cargo` commands are run by CI.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use clap::Parser as _;
use std::{fs, path::Path};
use tender_p2p::cli::Cli;

fn file(name: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    fs::read_to_string(root.join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// Lines of the README's `sh` blocks, without their comments.
fn commands() -> Vec<String> {
    let readme = file("README.md");
    let blocks = readme
        .split("```sh\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap());
    let lines = blocks
        .flat_map(str::lines)
        .map(|line| line.split(" #").next().unwrap().trim().to_owned());
    lines.filter(|line| !line.is_empty()).collect()
}

#[test]
fn every_command_of_the_readme_exists() {
    let commands = commands();
    let ci = file(".ci/run");
    assert!(commands.len() > 10, "{commands:#?}");
    for command in &commands {
        if command.starts_with("tender ") {
            let command = command.replace(" KEY", &format!(" {}", "0".repeat(64)));
            if let Err(error) =
                Cli::try_parse_from(command.split(' ').filter(|word| !word.is_empty()))
            {
                panic!("`{command}`: {error}");
            }
        } else if let Some(script) = command.strip_prefix("python3 examples/") {
            let script = script.split(' ').next().unwrap();
            let tests = file("p2p/tests/python.rs") + &file("p2p/tests/verify_py.rs");
            assert!(tests.contains(script), "no test runs examples/{script}");
            file(&format!("examples/{script}"));
        } else {
            assert!(
                command.starts_with("cargo "),
                "`{command}` is neither tender nor cargo"
            );
            assert!(ci.contains(command.as_str()), "CI does not run `{command}`");
        }
    }
}
