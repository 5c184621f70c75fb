mod packed;
mod padded;

pub use packed::PackedBatch;
pub use padded::PaddedBatch;
