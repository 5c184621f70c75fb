//! Calibration: runs the float model on batches and keeps a histogram of each tensor that needs a
//! range.

mod batch;
mod histogram;
mod rows;
mod runner;
mod sample;

pub(crate) use batch::MASK_INPUT;
pub use batch::{Batch, Values};
pub(crate) use histogram::Histogram;
pub(crate) use rows::Rows;
pub use runner::Calibrator;
pub use sample::sample_files;
