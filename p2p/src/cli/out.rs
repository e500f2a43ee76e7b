//! Printing: the one place that writes to standard output.

use super::error::Failure;
use serde::Serialize;
use std::{fmt::Display, io::Write as _};

/// Prints a line. A reader that has gone away (`tender … | head`) is no error.
pub fn say(line: impl Display) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

/// Prints a notice about progress where it does not disturb data.
pub fn note(line: impl Display) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
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
