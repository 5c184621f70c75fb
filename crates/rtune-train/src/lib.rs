//! Training: the [`Tape`] interpreter, losses, optimizer, schedule and the loop.
//!
//! [`run()`] fine-tunes a model from files to a folder; [`Trainer`] trains a model in memory. Below
//! them is the tape:
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
//!
//! A [`RunRequest`] and a [`RunReport`] are JSON documents with versions, so that a command line, a
//! service or a pipeline can store them. Progress is a stream of [`Event`]s to a [`Callback`].
//! Complete checkpoints go to a [`SaveHook`], in a thread beside training, so that they can be
//! mirrored elsewhere; they stay until it is done with them. The output folder is locked while a
//! run works in it, and a run that replaces another one keeps the other until it is complete.

mod best;
mod checkpoint;
mod config;
mod coverage;
mod cuda;
mod cutpoints;
mod error;
mod events;
mod head_start;
mod hook;
mod inference;
mod loss;
mod minimize;
mod optimizer;
mod plan;
mod progress;
mod refit;
mod run;
mod saving;
mod step;
mod tape;
mod tokenizer;
mod trainer;
mod units;

pub use checkpoint::{CheckpointProblem, Checkpoints};
pub use config::{SettingError, TrainConfig, TrainSettings};
pub use coverage::check_coverage;
pub use cuda::{Products, cuda_device};
pub use error::{FolderProblem, TrainError};
pub use events::{Callback, Evaluation, Event, LogProblem, Start, StepLog};
pub use hook::{HookError, SaveHook};
pub use inference::{BatchTensors, Inference, evaluate, predict};
pub use loss::{LossGradients, LossSpec};
pub use optimizer::{
    AdamW, AdamWConfig, LearningRates, Schedule, SchedulerType, clip_global_norm, decays,
};
pub use refit::Refit;
pub use run::{RunReport, RunRequest, RunResult, Split, run};
pub use saving::Saving;
pub use tape::{Arena, Array, Buffer, Elements, Gradients, Loss, Tape, TapeValue};
pub use tokenizer::check_tokenizer;
pub use trainer::{Outcome, TrainInputs, Trainer};
