//! Calibration and static int8 quantization of ONNX graphs.
//!
//! ```
//! use rtune_quant::QuantParams;
//!
//! let params = QuantParams::asymmetric_u8(-1.0, 3.0);
//! assert_eq!(params.zero_point, 64);
//! assert_eq!(params.quantize(0.0), 64);
//! ```
//!
//! # Design
//!
//! Three steps, each a type. [`targets`] finds the products with constant weights, and so the
//! tensors that need a range. [`Calibration`] watches those tensors, and only those, while a
//! runtime runs the float model on real texts, or on the tensors of any model's inputs
//! ([`Sample`]); it keeps a histogram of fixed size for each, so memory does not grow with the
//! number of texts, and leaves padding out. [`quantize`] writes the form that the runtime has
//! integer kernels for: one `QuantizeLinear` to uint8 on each input, int8 weights per channel,
//! int32 bias in `Gemm`, embedding tables as `Gather` → `DequantizeLinear`; everything else stays
//! float. [`census`] then counts in the runtime's own rewritten graph which products really run as
//! integers.
//!
//! # Saturation
//!
//! Processors without VNNI add two products of uint8 and int8 in 16 bits, which overflow where two
//! neighboring weights of the same sign add up to more than 128. By default the scale of each
//! channel is chosen so that none do ([`WeightRange::SaturationFree`]): the same file then gives
//! the same answers on every x86 processor.

mod arithmetic;
mod calibrate;
mod census;
mod drift;
mod error;
mod histogram;
mod quantize;
mod sample;
mod target;

pub use arithmetic::{QuantParams, WeightRange, quantize_bias, quantize_channels};
pub use calibrate::{Calibration, RangeMethod, Ranges};
pub use census::{Census, census};
pub use drift::Drift;
pub use error::QuantError;
pub use histogram::Histogram;
pub use quantize::{QuantizeOptions, QuantizeReport, check_quantizable, quantize};
pub use sample::Sample;
pub use target::{Product, Targets, prepare, targets};
