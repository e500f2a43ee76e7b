//! What is wrong with a file, said so that its author can put it right.

use std::{
    fmt,
    path::{Path, PathBuf},
};
use tender_wire::text::line;

/// Most characters of a file's field names and of a parser's complaint that are repeated.
const MAX_SHOWN_CHARS: usize = 200;

/// A problem with a file: what, where, the value found and what to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileError {
    /// The file.
    pub path: PathBuf,
    /// Line and column, from 1, where known.
    pub line: Option<(usize, usize)>,
    /// The field, as `tasks[3].reserve`, where known.
    pub field: Option<String>,
    /// What is wrong, with the value found.
    pub problem: String,
    /// What to do next.
    pub next: String,
}

/// What is wrong with a value, before it is known in which file and field it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The field, from the value outwards.
    pub field: String,
    /// What is wrong, with the value found.
    pub problem: String,
    /// What to do next.
    pub next: String,
}

impl Problem {
    /// A problem with the value at `field`.
    pub fn new(
        field: impl Into<String>,
        problem: impl Into<String>,
        next: impl Into<String>,
    ) -> Self {
        Problem {
            field: field.into(),
            problem: problem.into(),
            next: next.into(),
        }
    }

    /// The same problem in a file.
    pub fn in_file(self, path: &Path) -> FileError {
        FileError {
            path: path.to_path_buf(),
            line: None,
            field: Some(self.field),
            problem: self.problem,
            next: self.next,
        }
    }
}

/// Says in which field of the enclosing value a [`Problem`] stands.
pub trait Located<T> {
    /// Prefixes the problem's field.
    ///
    /// # Errors
    /// The same problem, located.
    fn at(self, field: impl fmt::Display) -> Result<T, Problem>;
}

impl<T> Located<T> for Result<T, Problem> {
    fn at(self, field: impl fmt::Display) -> Result<T, Problem> {
        self.map_err(|mut problem| {
            let dot = if problem.field.is_empty() || problem.field.starts_with('[') {
                ""
            } else {
                "."
            };
            problem.field = format!("{field}{dot}{}", problem.field);
            problem
        })
    }
}

impl FileError {
    /// A problem with the file as a whole.
    pub fn whole(path: &Path, problem: impl Into<String>, next: impl Into<String>) -> Self {
        FileError {
            path: path.to_path_buf(),
            line: None,
            field: None,
            problem: problem.into(),
            next: next.into(),
        }
    }

    /// A parser's complaint, with the offending line's text. The file may be a stranger's: of what it says, little is shown, and that plainly.
    pub(super) fn json(path: &Path, text: &str, field: &str, error: &serde_json::Error) -> Self {
        let message = error.to_string();
        let problem = message.split(" at line ").next().unwrap_or(&message);
        let problem = line(problem, MAX_SHOWN_CHARS);
        let found = text
            .lines()
            .nth(error.line().saturating_sub(1))
            .unwrap_or("")
            .trim();
        let found = line(found, 80);
        FileError {
            path: path.to_path_buf(),
            line: Some((error.line(), error.column())),
            field: (!matches!(field, "." | "?" | "")).then(|| line(field, MAX_SHOWN_CHARS)),
            problem: format!("{problem}; the line reads `{found}`"),
            next: "correct this line and run the command again; nothing was changed".into(),
        }
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        if let Some((line, column)) = self.line {
            write!(f, ":{line}:{column}")?;
        }
        if let Some(field) = &self.field {
            write!(f, ": {field}")?;
        }
        write!(f, ": {}", self.problem)?;
        if !self.next.is_empty() {
            write!(f, "\n  next: {}", self.next)?;
        }
        Ok(())
    }
}

impl std::error::Error for FileError {}
