//! Checkpoints of a run, and resuming from them.

mod format;
mod identity;
mod resume;
mod store;

pub use format::CheckpointProblem;
pub(crate) use format::{Position, SavedRun};
pub(crate) use identity::RunIdentity;
pub(crate) use resume::{restore, save};
pub use store::Checkpoints;
pub(crate) use store::Retention;

#[cfg(test)]
mod tests;
