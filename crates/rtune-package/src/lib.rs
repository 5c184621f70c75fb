//! A model folder on disk: metadata, digests, and writing that is complete or absent.
//!
//! ```
//! let digest = rtune_package::sha256_hex(b"");
//! assert!(digest.starts_with("e3b0c442"));
//! ```
//!
//! # Design
//!
//! `TaskSpec` is stored in `config.json` beside the weights, [`Metadata`] beside the ONNX file and
//! inside it. [`Staging`] writes a folder that appears complete or not at all.

mod cache;
mod digest;
mod error;
mod metadata;
mod staging;

pub use cache::{FETCHED_RUNTIME, cache_folder, fetched_runtime};
pub use digest::{sha256_file, sha256_hex};
pub use error::PackageError;
pub use metadata::{METADATA_FILE, Metadata, QuantizationNote, TaskFields};
pub use staging::{Staging, is_within, stranger_in};
