//! Checkpoints of a run, and resuming from them.

mod format;
mod identity;
mod resume;
mod store;

pub use format::CheckpointProblem;
pub(crate) use format::Position;
pub(crate) use identity::RunIdentity;
pub(crate) use resume::{restore, save};
pub use store::Checkpoints;

#[cfg(test)]
mod tests;
