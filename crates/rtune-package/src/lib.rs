//! A model folder on disk: file names, metadata, digests, and writing that is complete or absent.
//!
//! ```
//! use rtune_package::{Kind, Metadata, Staging, layout, sha256_file};
//! use rtune_task::{Cutpoints, Decision, Link, Pooling, Task, TaskSpec, TextSignature};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let folder = tempfile::tempdir()?;
//! let target = folder.path().join("onnx");
//! let staging = Staging::new(&target, false, &[])?;
//! std::fs::write(staging.path().join(layout::TOKENIZER), "{}")?;
//!
//! let spec = TaskSpec {
//!     task: Task::Ordinal,
//!     labels: ["bad", "fair", "good"].map(String::from).to_vec(),
//!     pooling: Pooling::Mean,
//!     link: Link::Logit,
//!     cutpoints: Cutpoints::Ordered,
//!     decision: Decision::default(),
//!     targets: None,
//!     text_pairs: false,
//!     max_length: 128,
//! };
//! let tokenizer = sha256_file(&staging.path().join(layout::TOKENIZER))?;
//! let inputs = TextSignature::default();
//! Metadata::new(&spec, vec![-1.0, 1.0], inputs, tokenizer).write(staging.path())?;
//! staging.commit(Kind::Onnx)?;
//!
//! let metadata = Metadata::read(&target)?;
//! metadata.check_tokenizer(&target)?;
//! assert_eq!(metadata.scale().cutpoints(), [-1.0, 1.0]);
//! # Ok(())
//! # }
//! ```
//!
//! # Design
//!
//! [`layout`] has every file name, so that two crates cannot disagree on one. `TaskSpec` is stored
//! in `config.json` beside the weights, [`Metadata`] beside the ONNX file and inside it.
//!
//! [`Staging`] writes a folder that appears complete or not at all. An output folder says itself
//! what it is: its [`Marker`] names the kind, the format version and the files that rtune wrote.
//! A folder is replaced only if it holds nothing else. A new output file of any crate therefore
//! needs no entry here, and a file of the user is never deleted.

mod digest;
mod error;
pub mod layout;
mod legacy;
mod marker;
mod meaning;
mod metadata;
mod staging;

pub use digest::{sha256_file, sha256_hex};
pub use error::{PackageError, TargetProblem};
pub use marker::{Kind, Marker, first_unknown_entry};
pub use meaning::Meaning;
pub use metadata::{Metadata, QuantizationNote, TaskFields};
pub use staging::{StagedFile, Staging, is_within};
