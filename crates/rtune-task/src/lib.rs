//! The meaning of a model's outputs: task, labels, link, cutpoints, likelihood, prediction,
//! decision, metrics.
//!
//! ```
//! use rtune_task::{Link, OrdinalScale};
//!
//! let scale = OrdinalScale::new(vec![-1.0, 1.0], Link::Logit);
//! let probabilities = scale.probabilities(0.0);
//! assert_eq!(probabilities.len(), 3);
//! assert!((probabilities.iter().sum::<f64>() - 1.0).abs() < 1e-12);
//! ```
//!
//! # Design
//!
//! Training, export and serving must agree on the meaning of a score, and serving must not link the
//! training stack. The meaning is therefore plain arithmetic in a crate without files, tensors or
//! runtimes.

mod by_class;
mod decision;
mod error;
mod likelihood;
mod link;
mod metric;
mod outputs;
mod prediction;
mod scale;
mod signature;
mod statistics;
mod target;
mod task;

pub use by_class::ByClass;
pub use decision::Decision;
pub use error::TaskError;
pub use likelihood::LogLikelihood;
pub use link::Link;
pub use metric::{
    Baseline, Constant, DecisionMetrics, Metric, MetricError, Metrics, best_decision,
};
pub use outputs::{Output, OutputForm, Outputs};
pub use prediction::{Prediction, log_softmax};
pub use scale::OrdinalScale;
pub use signature::{TextInput, TextSignature};
pub use statistics::TargetStatistics;
pub use target::Target;
pub use task::{Cutpoints, Pooling, Task, TaskSpec};
