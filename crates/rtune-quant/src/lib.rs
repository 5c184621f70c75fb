//! Calibration and static int8 quantization of ONNX graphs.
//!
//! ```no_run
//! use rtune_interrupt::Interrupt;
//! use rtune_quant::{Batch, Calibrator, Plan, Quantizable, RangeMethod, Settings};
//! # fn quantize(
//! #     model: &rtune_graph::Model,
//! #     encode: impl Fn(&rtune_graph::Model) -> Vec<u8>,
//! #     runtime: &rtune_runtime::Runtime,
//! #     batches: Vec<Batch>,
//! # ) -> Result<rtune_graph::Model, rtune_quant::QuantError> {
//! let source = Quantizable::new(model)?;
//! let plan = Plan::new(&source, Settings::default())?;
//! for left in &plan.quantized().left_float {
//!     println!("{} ({}) stays in float: {}", left.output, left.operator, left.reason);
//! }
//!
//! let mut session = runtime.open_bytes(&encode(&plan.tapped()?), &Default::default())?;
//! let mut calibrator = Calibrator::new(&plan);
//! calibrator.run(&mut session, batches.into_iter().map(Ok), &Interrupt::new(), |_| {})?;
//! let ranges = calibrator.ranges("percentile 99.999".parse::<RangeMethod>()?)?;
//!
//! let (int8, _) = plan.apply(&ranges)?;
//! # Ok(int8)
//! # }
//! ```
//!
//! # Design
//!
//! Stages are types: a [`Quantizable`] is the only way to a [`Plan`], which says what becomes
//! integer, how, and for each other product why it does not ([`Refusal`]); a plan is the only way
//! to a [`Calibrator`] and to the quantized model.
//!
//! The crate knows graphs and the runtime, and neither files nor texts. The caller encodes
//! [`Plan::tapped`] and gives each run's inputs as plain named tensors ([`Batch`]). A calibrator
//! keeps one histogram of fixed size per tensor, so memory does not grow with the number of samples
//! and the result does not depend on their order. Rows of padding are left out where the dimensions
//! of a tensor say that it has one row per token.
//!
//! The quantized form is the one that the runtime has integer kernels for: one `QuantizeLinear` to
//! uint8 on each activation, int8 weights per channel, int32 bias in `Gemm`, embedding tables as
//! `Gather` → `DequantizeLinear`; all else stays float. [`census`] then counts in the runtime's own
//! rewritten graph the products that really run as integers.
//!
//! # Saturation
//!
//! Processors without VNNI add two products of uint8 and int8 in 16 bits, which overflow if two
//! neighboring weights of the same sign add up to more than 128. By default the scale of each
//! channel is chosen so that none do ([`WeightRange::SaturationFree`]): the same file then gives
//! the same answers on every x86 processor.
//!
//! # Adding
//!
//! A range method is a file in `range/`, an operator a file in `recipe/`; the module's
//! documentation says what else there is to do.

mod apply;
mod arithmetic;
mod calibrate;
mod census;
mod drift;
mod error;
mod gate;
mod matrix;
mod names;
mod plan;
mod quantizable;
mod range;
mod recipe;
mod refusal;
mod report;
mod saturation;
mod scheme;

pub use arithmetic::QuantParams;
pub use calibrate::{Batch, Calibrator, Values, sample_files};
pub use census::{Census, census};
pub use drift::{Drift, output_drift};
pub use error::QuantError;
pub use gate::{GateMetric, MetricGate};
pub use plan::{LeftFloat, Plan, Quantized, Settings};
pub use quantizable::Quantizable;
pub use range::{Percentile, RangeMethod, Ranges};
pub use refusal::Refusal;
pub use report::{Evaluation, QuantizationReport};
pub use saturation::WeightRange;
pub use scheme::{IntType, Scheme};
