//! Training: the [`Tape`] interpreter, losses, optimizer, schedule, metrics and the loop.
//!
//! ```
//! use candle_core::{Device, Tensor};
//! use rtune_nn::{Ops as _, Param, Var};
//! use rtune_train::Tape;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let weight = Param::new("weight", Tensor::new(&[3_f32], &Device::Cpu)?);
//! let tape = Tape::new();
//! let w = Var::new(&tape, tape.param(&weight)?);
//! let square = w.sqr()?.into_value();
//! let gradients = tape.backward(&square)?;
//! assert_eq!(*gradients["weight"].elements()?, [6.0]);
//! # Ok(())
//! # }
//! ```
//!
//! # Design
//!
//! candle's own differentiation silently stops at fused operations, so the tape is ours: each
//! operation notes how its gradient flows, and [`check_coverage`] fails the first step of a run if
//! a parameter received none. Losses are computed in double precision in log space with their
//! gradients in closed form, so that no probability is clamped. The optimizer updates parameters in
//! place and owns its state. Dropout is a function of seed, step and position, so a run can be
//! repeated from any step; [`Checkpoints`] keep all else that its future depends on.

mod best;
mod checkpoint;
mod config;
mod coverage;
mod cutpoints;
mod error;
mod events;
mod inference;
mod loss;
mod optimizer;
mod plan;
mod progress;
mod step;
mod tape;
mod trainer;

pub use checkpoint::{CheckpointProblem, Checkpoints};
pub use config::{SettingError, TrainConfig, TrainSettings};
pub use coverage::check_coverage;
pub use error::TrainError;
pub use events::{Callback, Evaluation, Event, LogProblem, Start, StepLog};
pub use inference::{BatchTensors, evaluate, predict};
pub use loss::{LossGradients, LossSpec};
pub use optimizer::{
    AdamW, AdamWConfig, LearningRates, Schedule, SchedulerType, clip_global_norm, decays,
};
pub use tape::{Arena, Array, Buffer, Elements, Gradients, Loss, Tape, TapeValue};
pub use trainer::{Outcome, TrainInputs, Trainer};
