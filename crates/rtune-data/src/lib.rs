//! Rows of CSV, TSV and JSONL files to checked examples, and splits of them.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use rtune_data::{Columns, LabelKind, read_examples};
//! use rtune_task::Target;
//!
//! let folder = tempfile::tempdir()?;
//! let path = folder.path().join("rows.csv");
//! std::fs::write(&path, "text,label\ngood,1\n\"bad, really\",0\n")?;
//! let examples = read_examples(&path, &Columns::default(), &LabelKind::Index)?;
//! assert_eq!(examples[1].text, "bad, really");
//! assert_eq!(examples[1].target, Target::Class(0));
//! # Ok(())
//! # }
//! ```
//!
//! # Design
//!
//! A file is read and checked to its end before anything is trained. An error names the file, the
//! line as an editor counts lines, and the remedy; its parts are typed, so that a program can add
//! the name of its own setting. [`Dataset`] holds examples with their token ids.

mod columns;
mod dataset;
mod error;
mod example;
mod label;
mod read;
mod split;

pub use columns::Columns;
pub use dataset::Dataset;
pub use error::{Column, DataError, DataProblem, LabelProblem};
pub use example::{Example, check_classes, class_names};
pub use label::LabelKind;
pub use read::{read_examples, read_texts, text_files};
pub use split::split;
