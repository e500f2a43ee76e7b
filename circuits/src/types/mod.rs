//! The capability types that come with Tender. Others can be registered: to verify a type, its record is enough.

pub mod resources;

use crate::capability::Capability;
use std::sync::Arc;

/// The circuits built in, newest version of each last.
pub fn all() -> Vec<Arc<dyn Capability>> {
    vec![Arc::new(resources::Resources)]
}

/// The built-in circuit of a type.
pub fn find(name: &str, version: u16) -> Option<Arc<dyn Capability>> {
    all()
        .into_iter()
        .find(|c| c.name() == name && c.version() == version)
}
