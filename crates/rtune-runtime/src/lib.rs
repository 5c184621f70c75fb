//! Runs a model on named tensors with ONNX Runtime.
//!
//! ```no_run
//! use rtune_runtime::{Feed, Runtime, SessionOptions};
//! use std::path::Path;
//!
//! # fn main() -> Result<(), rtune_runtime::RuntimeError> {
//! let runtime = Runtime::load(Path::new("libonnxruntime.so.1.32.0"))?;
//! let mut session = runtime.open(Path::new("model.onnx"), &SessionOptions::default())?;
//! let outputs = session.run(&[Feed::i64("input_ids", &[1, 2], &[101, 102])])?;
//! let (dims, logits) = outputs.f32("logits")?;
//! # Ok(())
//! # }
//! ```
//!
//! # Design
//!
//! This is the only crate that names `ort`, whose interface changes between releases. The library
//! is loaded at run time from a path that the caller gives, after a preflight that tells the faults
//! apart; nothing here reads the environment or panics if the library is missing.
//! Threads are always set explicitly.

mod error;
mod feed;
mod image;
mod library;
mod session;

pub use error::RuntimeError;
pub use feed::{Feed, NamedTensor};
pub use library::{MIN_VERSION, Runtime, library_version};
pub use session::{Optimization, Outlet, Outputs, Session, SessionOptions};
