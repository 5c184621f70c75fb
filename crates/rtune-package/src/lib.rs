//! What a model folder says about its model: task, labels, cutpoints, digests, and how the folder is written.
//!
//! ```
//! use rtune_package::{Link, OrdinalScale};
//!
//! let scale = OrdinalScale::new(vec![-1.0, 1.0], Link::Logit);
//! let probabilities = scale.probabilities(0.0);
//! assert_eq!(probabilities.len(), 3);
//! assert!((probabilities.iter().sum::<f64>() - 1.0).abs() < 1e-12);
//! ```
//!
//! # Design
//!
//! Training, export and serving must agree on what a score means, and serving must not link the training stack. So
//! the meaning lives here, in a crate that knows plain numbers only: [`TaskSpec`] is stored in `config.json` beside
//! the weights, [`Metadata`] beside the ONNX file and inside it. [`Staging`] writes a folder so that it appears whole
//! or not at all.

mod cache;
mod digest;
mod error;
mod likelihood;
mod metadata;
mod prediction;
mod scale;
mod staging;
mod task;

pub use cache::{FETCHED_RUNTIME, cache_folder, fetched_runtime};
pub use digest::{sha256_file, sha256_hex};
pub use error::PackageError;
pub use likelihood::LogLikelihood;
pub use metadata::{METADATA_FILE, Metadata, QuantizationNote};
pub use prediction::{Prediction, log_softmax};
pub use scale::{Link, OrdinalScale};
pub use staging::{Staging, is_within, stranger_in};
pub use task::{Cutpoints, Pooling, Task, TaskSpec};
