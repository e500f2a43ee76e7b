//! How a command fails: a sentence, what to do next, and the exit code.

use crate::documents::FileError;
use std::fmt;

/// Exit code of a failure.
pub const FAILED: u8 = 1;
/// Exit code of wrong flags or arguments (clap uses the same).
pub const USAGE: u8 = 2;
/// Exit code of a verification that ran and said no.
pub const REFUSED: u8 = 3;

/// Why a command ends without its result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Exit code: [`FAILED`], [`USAGE`] or [`REFUSED`].
    pub exit: u8,
    /// Machine-readable reason where a peer gave one.
    pub code: Option<String>,
    /// What happened, where, with the values.
    pub what: String,
    /// What to do next.
    pub next: String,
}

impl Failure {
    /// Something did not work.
    pub fn new(what: impl Into<String>, next: impl Into<String>) -> Self {
        Failure {
            exit: FAILED,
            code: None,
            what: what.into(),
            next: next.into(),
        }
    }

    /// The command was called wrongly.
    pub fn usage(what: impl Into<String>, next: impl Into<String>) -> Self {
        Failure {
            exit: USAGE,
            ..Failure::new(what, next)
        }
    }

    /// A verification ran and said no.
    pub fn refused(what: impl Into<String>, next: impl Into<String>) -> Self {
        Failure {
            exit: REFUSED,
            ..Failure::new(what, next)
        }
    }

    /// Whether a peer refused with this reason.
    pub fn is_code(&self, code: &str) -> bool {
        self.code.as_deref() == Some(code)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.what)?;
        if !self.next.is_empty() {
            write!(f, "\n  next: {}", self.next)?;
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}

impl From<FileError> for Failure {
    fn from(error: FileError) -> Self {
        let next = error.next.clone();
        Failure::new(
            FileError {
                next: String::new(),
                ..error
            }
            .to_string(),
            next,
        )
    }
}
