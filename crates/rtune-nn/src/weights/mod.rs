//! Checkpoints in and out, in Hugging Face's layout.

mod bin;
mod checksum;
mod faults;
mod init;
mod loader;
mod names;
mod read;
mod stored;
mod write;

pub use faults::WeightFaults;
pub use loader::{LoadReport, WeightLoader};
pub use names::TensorNames;
pub(crate) use read::weights_of;
pub use read::{StateDict, load_tensors};
pub use write::{TensorRef, save_tensors};
