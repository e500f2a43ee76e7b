//! Printing: the one place that writes to standard output.
//!
//! Much of what is printed was written by strangers: titles, names, reasons. Nothing of it reaches a terminal that the terminal would
//! obey instead of draw; our own colours go through [`say_raw`].

use super::error::Failure;
use serde::Serialize;
use std::{
    fmt::{Display, Write as _},
    io::Write as _,
};
use tender_wire::text::is_plain;

/// Prints a line, or several. A reader that has gone away (`tender … | head`) is no error.
pub fn say(line: impl Display) {
    say_raw(harmless(&line.to_string()));
}

/// [`say`] for what is known to be harmless, colours included.
pub fn say_raw(line: impl Display) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

/// Prints a notice about progress where it does not disturb data.
pub fn note(line: impl Display) {
    let _ = writeln!(std::io::stderr().lock(), "{}", harmless(&line.to_string()));
}

/// Prints a value as JSON.
///
/// # Errors
/// [`Failure`] if it has no JSON form.
pub fn json<T: Serialize + ?Sized>(value: &T) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|e| Failure::new(format!("no JSON form: {e}"), "please report this"))?;
    say(text);
    Ok(())
}

/// The text with everything that is neither plain nor a line end or tab written as JSON would, so that JSON stays what it is.
pub fn harmless(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_plain(c) || matches!(c, '\n' | '\t') {
            out.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(out, "\\u{unit:04x}"); // writing to memory does not fail
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::harmless;

    /// D: what strangers wrote cannot steer the terminal it is printed on, and JSON still says the same.
    #[test]
    fn a_terminal_obeys_nothing_that_is_printed() {
        assert_eq!(
            harmless("a\x1b]0;owned\x07\r\n\tb\u{9b}31m\u{202e}"),
            "a\\u001b]0;owned\\u0007\\u000d\n\tb\\u009b31m\\u202e"
        );
        let value = "tag \u{e0041}, \u{85} and \u{7f}";
        let text = serde_json::to_string(value).unwrap();
        assert_ne!(harmless(&text), text);
        assert_eq!(
            serde_json::from_str::<String>(&harmless(&text)).unwrap(),
            value
        );
    }
}
