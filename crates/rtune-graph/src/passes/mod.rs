//! Passes: functions from one graph to another.

mod tap_outputs;

pub use tap_outputs::tap_outputs;
