//! Laws of clearing, checked on thousands of small markets full of ties.

mod check;
mod known;
mod laws;
mod markets;
mod mutations;
mod oracle;
mod truthful;
mod worst;
