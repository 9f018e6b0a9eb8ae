//! What only the stack on one machine needs. None of it is built into a function or a worker.

pub mod deploy;
pub mod stream;
