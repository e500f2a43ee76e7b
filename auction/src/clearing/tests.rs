//! Laws of clearing, checked on thousands of small markets full of ties.

mod laws;
mod markets;
mod oracle;
mod truthful;
mod worst;
