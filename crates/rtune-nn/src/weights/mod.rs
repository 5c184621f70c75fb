//! Checkpoints in and out, in Hugging Face's layout.

mod init;
mod loader;
mod names;
mod read;
mod write;

pub use loader::{LoadReport, WeightLoader};
pub use read::{StateDict, load_tensors};
pub use write::{TensorRef, save_tensors};
