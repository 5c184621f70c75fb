//! Predicts labels of texts with an exported model.
//!
//! A program that serves predictions depends on this crate alone:
//!
//! ```no_run
//! use rtune_infer::{Predictor, Runtime};
//! use std::path::Path;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let runtime = Runtime::load(Path::new("libonnxruntime.so.1.32.0"))?;
//! let predictor = Predictor::open(&runtime, Path::new("int8"), 1)?;
//! for prediction in predictor.predict(&["a wonderful little film", "dull to the end"])? {
//!     match prediction {
//!         Ok(prediction) => println!("{:?} {:.3}", prediction.label, prediction.score),
//!         Err(problem) => println!("{problem}"),
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Design
//!
//! The crate links neither the training stack nor a protobuf reader: the runtime reads the model,
//! `metadata.json` gives the meaning of its outputs, and plain arithmetic of `rtune-task` turns
//! logits into probabilities, the same arithmetic that training used.
//!
//! A [`Predictor`] is `Send` and `Sync`. Texts run in batches of similar length
//! ([`logits_by_length`]), so that little of a batch is padding, and results come back in the order
//! of the texts. A text that cannot be tokenized has the reason in its place and stops no other
//! ([`predict_encoded`]). Probabilities are in the order of the labels, which for an ordinal model
//! is the order of the scale.

mod batches;
mod error;
mod inputs;
mod outputs;
mod predictor;
mod probe;
mod report;

pub use batches::{logits_by_length, predict_encoded};
pub use error::InferError;
pub use inputs::{TextTensors, text_signature};
pub use outputs::{LabeledPrediction, OutputSpec};
pub use predictor::Predictor;
pub use probe::check_tokenizer;
pub use report::EvaluationReport;
pub use rtune_runtime::Runtime;
pub use rtune_text::TextError;
