//! The capability types that come with Tender. Others can be registered: to verify a type, its record is enough.

pub mod resources;
pub mod score;

use crate::capability::Capability;
use std::{fmt, sync::Arc};

/// The circuits built in, by name and version.
pub fn all() -> Vec<Arc<dyn Capability>> {
    vec![Arc::new(resources::Resources), Arc::new(score::Score)]
}

/// The built-in circuit of a type.
pub fn find(name: &str, version: u16) -> Option<Arc<dyn Capability>> {
    Circuits::default().find(name, version)
}

/// The circuits a program can prove with: those built in, and its own.
#[derive(Clone)]
pub struct Circuits(Vec<Arc<dyn Capability>>);

impl Default for Circuits {
    fn default() -> Self {
        Circuits(all())
    }
}

impl Circuits {
    /// These and one more, which takes the place of another of its name and version.
    #[must_use]
    pub fn with(mut self, circuit: Arc<dyn Capability>) -> Self {
        self.0.insert(0, circuit);
        self
    }

    /// The circuit of a type.
    pub fn find(&self, name: &str, version: u16) -> Option<Arc<dyn Capability>> {
        let mut all = self.0.iter();
        all.find(|c| c.name() == name && c.version() == version)
            .cloned()
    }
}

impl fmt::Debug for Circuits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let labels = self
            .0
            .iter()
            .map(|c| format!("{}/v{}", c.name(), c.version()));
        f.debug_set().entries(labels).finish()
    }
}
