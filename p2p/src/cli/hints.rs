//! Commands named in errors, completed so that they work when typed: with the --home and --api of the command that failed.
//!
//! Code that fails deep down names a command by its words, "`tender auction list`". Here, where the flags are known, it becomes the whole
//! line. A flag the command does not have, or that the hint itself gives, is left alone.

use super::Cli;
use clap::{Command, CommandFactory as _};

/// A text whose commands in back quotes have the flags of `line`, the command line as it was typed.
pub(super) fn complete(text: &str, line: &[String]) -> String {
    let flags = ["--home", "--api"].map(|flag| (flag, value(line, flag)));
    let parts = text.split('`').enumerate().map(|(at, part)| {
        // Every second part stands between back quotes.
        let hint = part.strip_prefix("tender ").filter(|_| at % 2 == 1);
        let Some(hint) = hint else {
            return part.to_owned();
        };
        let root = Cli::command();
        let command = command(&root, hint);
        let mut part = part.to_owned();
        for (flag, value) in &flags {
            let takes = command
                .get_arguments()
                .any(|arg| arg.get_long() == flag.strip_prefix("--"));
            if let Some(value) = value
                && takes
                && !hint.contains(flag)
                && !hint.contains("--help")
            {
                part.push_str(&format!(" {flag} {value}"));
            }
        }
        part
    });
    parts.collect::<Vec<_>>().join("`")
}

/// The command that these words begin with.
fn command<'c>(root: &'c Command, hint: &str) -> &'c Command {
    let mut command = root;
    for word in hint.split_whitespace() {
        match command.find_subcommand(word) {
            Some(below) => command = below,
            None => break,
        }
    }
    command
}

fn value(line: &[String], flag: &str) -> Option<String> {
    let mut words = line.iter();
    while let Some(word) = words.next() {
        if word == flag {
            return words.next().cloned();
        }
        if let Some(value) = word.strip_prefix(flag).and_then(|w| w.strip_prefix('=')) {
            return Some(value.to_owned());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_gets_the_flags_it_takes_and_lacks() {
        let line = ["tender", "bid", "--home", "h", "--api=u"].map(str::to_owned);
        for (text, whole) in [
            (
                "see `tender auction list`.",
                "see `tender auction list --home h --api u`.",
            ),
            (
                "`tender status --home x`",
                "`tender status --home x --api u`",
            ),
            ("`tender start`, or", "`tender start --home h`, or"),
            ("`tender bid --help`", "`tender bid --help`"),
            ("`tender verify x`", "`tender verify x`"),
            (
                "tender status, `x` tender status",
                "tender status, `x` tender status",
            ),
            (
                "`tender keys show` and `tender status`",
                "`tender keys show --home h` and `tender status --home h --api u`",
            ),
        ] {
            assert_eq!(complete(text, &line), whole);
        }
        assert_eq!(complete("`tender status`", &[]), "`tender status`");
    }
}
