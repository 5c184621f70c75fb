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
//! A file is read whole and checked before anything is trained: an error names the file, the row as
//! an editor counts lines, and what to do. [`Dataset`] holds examples with their token ids.

mod columns;
mod dataset;
mod error;
mod example;
mod read;
mod split;

pub use columns::Columns;
pub use dataset::Dataset;
pub use error::DataError;
pub use example::{Example, LabelKind, check_classes};
pub use read::{read_examples, read_texts, text_files};
pub use split::split;
