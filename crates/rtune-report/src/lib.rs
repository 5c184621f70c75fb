//! Measurements as things to look at: a web page with plots, and event files of TensorBoard.
//!
//! [`TrainingPage`] is plain values, and [`TrainingPage::html`] makes one page of them that needs
//! no other file and no network:
//!
//! ```
//! use rtune_report::{StepPoint, TrainingPage};
//!
//! # fn main() -> Result<(), rtune_report::ReportError> {
//! let page = TrainingPage {
//!     title: "run".to_owned(),
//!     steps: vec![StepPoint { step: 1, loss: 0.7, learning_rate: 1e-4, gradient_norm: 2.0 }],
//!     ..TrainingPage::default()
//! };
//! assert!(page.html()?.starts_with("<!doctype html>"));
//! # Ok(())
//! # }
//! ```
//!
//! # Design
//!
//! A page has no script: charts are SVG, tables are tables, and everything can be read, copied and
//! printed. The template escapes what comes from files, so a text of the data cannot become markup.
//! A chart is there only if there is something to draw.

mod chart;
mod error;
mod page;
mod plots;
mod tables;
mod tensorboard;

pub use error::ReportError;
pub use page::{EvaluationPoint, Mistake, Split, StepPoint, TrainingPage};
pub use tensorboard::EventFile;
