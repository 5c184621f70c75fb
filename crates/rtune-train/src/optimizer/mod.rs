//! The optimizer, its parameter groups, gradient clipping and the learning-rate schedule.

mod adamw;
mod clip;
mod groups;
mod schedule;
mod update;

pub use adamw::{AdamW, AdamWConfig};
pub use clip::clip_global_norm;
pub use groups::{LearningRates, decays};
pub use schedule::{Schedule, SchedulerType};
pub(crate) use update::Update;
