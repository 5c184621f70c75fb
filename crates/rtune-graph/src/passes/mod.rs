//! Passes: named functions from one model to another that report what they changed, and why they
//! left other things as they were.

mod changes;
mod constants;
mod tap_outputs;
mod unused;

pub use changes::{Change, Changes};
pub use constants::{constants_to_initializers, initializers_from_inputs};
pub use tap_outputs::tap_outputs;
pub use unused::remove_unused_nodes;
