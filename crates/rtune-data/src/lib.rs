//! Rows of CSV, TSV and JSON files to checked examples, and splits of them.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use rtune_data::{Columns, RowReader};
//!
//! let folder = tempfile::tempdir()?;
//! let path = folder.path().join("rows.csv");
//! std::fs::write(&path, "text,label\ngood,1\n\"bad, really\",0\n")?;
//! let rows = RowReader::labelled(&path, &Columns::default())?;
//! let rows = rows.collect::<Result<Result<Vec<_>, _>, _>>()?.map_err(|error| error.of(&path))?;
//! assert_eq!(rows[1].text, "bad, really");
//! assert_eq!(rows[1].label.as_deref(), Some("0"));
//! # Ok(())
//! # }
//! ```
//!
//! # Design
//!
//! [`RowReader`] gives the rows of a file one after the other, with a bad row as an item of its
//! own, in memory that does not grow with the file. For training, a file is read and checked to its
//! end first, and one error lists its bad rows. An error names the file, the line as an editor
//! counts lines, and the remedy; its parts are typed, so that a program can add the name of its own
//! setting. [`Dataset`] holds rows with their token ids.
//!
//! The format follows from the ending of the file's name, but gzip and a byte order mark are
//! recognized by the first bytes. CSV is read strictly: a quote in the wrong place is an error,
//! because all that follows it would be in the wrong fields.

mod columns;
mod dataset;
mod error;
mod faults;
mod label;
mod read;
mod split;

pub use columns::{Columns, Dialect};
pub use dataset::Dataset;
pub use error::{Column, DataError, DataProblem, LabelProblem};
pub use read::{Format, Row, RowError, RowReader, read_texts, text_files};
