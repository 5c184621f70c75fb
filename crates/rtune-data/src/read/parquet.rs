//! Parquet files, row by row.

use super::lines::{Encoding, Fault, LIMIT};
use super::{Reading, Row, RowError, Stop, Wanted};
use crate::{Column, DataError, DataProblem, LabelProblem};
use parquet::basic::{Compression, ConvertedType, Repetition, Type as Physical};
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, FileReader, SerializedFileReader};
use parquet::record::Field;
use parquet::record::reader::{ReaderIter, TreeBuilder};
use parquet::schema::types::{SchemaDescPtr, SchemaDescriptor, Type};
use rtune_text::guarded;
use std::path::Path;
use std::sync::Arc;

/// The rows of a Parquet file. A row group is opened when its turn comes, and within it a page of
/// each column.
pub(super) struct Parquet {
    reader: Box<dyn FileReader>,
    /// The columns to read, each once.
    schema: SchemaDescPtr,
    /// Positions in `schema`.
    columns: Wanted<usize>,
    group: usize,
    rows: Option<ReaderIter>,
    /// Number of rows that were read.
    read: u64,
}

impl Parquet {
    /// Reads the schema.
    ///
    /// # Errors
    /// If the file is not Parquet, or a column is missing or has a type or compression that is not
    /// read.
    pub(super) fn open<R: ChunkReader + 'static>(
        path: &Path,
        file: R,
        wanted: &Wanted<String>,
    ) -> Result<Self, DataError> {
        if file.len() == 0 {
            return Err(DataError::file(path, DataProblem::Empty));
        }
        let opened = guarded(|| Self::of(file, wanted)).unwrap_or_else(|| Err(panicked()));
        opened.map_err(|problem| DataError::file(path, problem))
    }

    fn of<R: ChunkReader + 'static>(file: R, wanted: &Wanted<String>) -> Result<Self, DataProblem> {
        let reader = SerializedFileReader::new(file).map_err(damaged)?;
        let root = reader.metadata().file_metadata().schema();
        let all = root.get_fields();
        let mut chosen: Vec<usize> = Vec::new();
        let columns = wanted.find(|column, name| {
            let index = find(all, column, name)?;
            check_type(&all[index], column)?;
            let known = chosen.iter().position(|known| *known == index);
            Ok(known.unwrap_or_else(|| {
                chosen.push(index);
                chosen.len() - 1
            }))
        })?;
        for group in reader.metadata().row_groups() {
            for chunk in group.columns() {
                let path = chunk.column_path().parts();
                if let [name] = path
                    && chosen.iter().any(|index| all[*index].name() == name)
                {
                    check_compression(name, chunk.compression())?;
                }
            }
        }
        let fields = chosen
            .iter()
            .map(|index| Arc::clone(&all[*index]))
            .collect();
        let schema = Type::group_type_builder(root.name()).with_fields(fields);
        let schema = schema.build().map_err(damaged)?;
        Ok(Self {
            schema: Arc::new(SchemaDescriptor::new(Arc::new(schema))),
            reader: Box::new(reader),
            columns,
            group: 0,
            rows: None,
            read: 0,
        })
    }

    pub(super) fn next(&mut self) -> Reading {
        guarded(|| self.next_row()).unwrap_or_else(|| {
            Err(Stop {
                line: None,
                problem: panicked(),
            })
        })
    }

    fn next_row(&mut self) -> Reading {
        loop {
            if let Some(row) = self.rows.as_mut().and_then(Iterator::next) {
                let row = row.map_err(Stop::from)?;
                self.read += 1;
                let fields: Vec<Field> = row
                    .into_columns()
                    .into_iter()
                    .map(|(_, field)| field)
                    .collect();
                return Ok(Some(self.row(&fields)));
            }
            if self.group == self.reader.num_row_groups() {
                return Ok(None);
            }
            let group = self.reader.get_row_group(self.group)?;
            self.rows = Some(TreeBuilder::new().as_iter(Arc::clone(&self.schema), &*group)?);
            self.group += 1;
        }
    }

    fn row(&self, fields: &[Field]) -> Result<Row, RowError> {
        let field = |index: usize| fields.get(index).unwrap_or(&Field::Null);
        let fault = |problem| {
            let others = self.columns.others.iter();
            let others = others.map(|other| value(field(*other)).ok().flatten());
            RowError::new(self.read, problem).with_others(others.collect())
        };
        let text = |index: usize| {
            let text = value(field(index)).map_err(fault)?;
            text.ok_or_else(|| fault(DataProblem::NotString { found: "null" }))
        };
        let label = self.columns.label.map(|label| {
            let value = value(field(label))?;
            value.ok_or_else(|| LabelProblem::Missing.into())
        });
        let others = self.columns.others.iter();
        let others = others.map(|other| Ok(value(field(*other))?.unwrap_or_default()));
        Ok(Row {
            line: self.read,
            text: text(self.columns.text)?,
            pair: self.columns.pair.map(text).transpose()?,
            label: label.transpose().map_err(fault)?,
            others: others.collect::<Result<_, _>>().map_err(fault)?,
        })
    }
}

impl From<ParquetError> for Stop {
    fn from(error: ParquetError) -> Self {
        Self {
            line: None,
            problem: damaged(error),
        }
    }
}

/// The reader's message, without its name and without the bytes of a whole text.
fn damaged(error: ParquetError) -> DataProblem {
    let text = error.to_string();
    let text = text.strip_prefix("Parquet error: ").unwrap_or(&text);
    DataProblem::Parquet(match text.contains("BYTE_ARRAY as String") {
        true => "a string is not UTF-8".to_owned(),
        false => text.to_owned(),
    })
}

/// The reader of Parquet panics on some damage.
fn panicked() -> DataProblem {
    DataProblem::Parquet("its data is damaged".to_owned())
}

fn find(all: &[Arc<Type>], column: Column, name: &str) -> Result<usize, DataProblem> {
    let mut found = (0..).zip(all).filter(|(_, field)| field.name() == name);
    let name = name.to_owned();
    match (found.next(), found.next()) {
        (Some((index, _)), None) => Ok(index),
        (Some(_), Some(_)) => Err(DataProblem::ColumnTwice { column, name }),
        (None, _) => Err(DataProblem::NoColumn {
            column,
            name,
            place: "schema",
            found: all.iter().map(|field| field.name().to_owned()).collect(),
        }),
    }
}

/// Checks that a column has strings or, if it is none of texts, integers, floats or booleans.
fn check_type(field: &Type, column: Column) -> Result<(), DataProblem> {
    use ConvertedType as C;
    let info = field.get_basic_info();
    let converted = info.converted_type();
    let single =
        field.is_primitive() && info.has_repetition() && info.repetition() != Repetition::REPEATED;
    let physical = single.then(|| field.get_physical_type());
    let fits = match physical {
        Some(Physical::BYTE_ARRAY) => matches!(converted, C::NONE | C::UTF8 | C::ENUM | C::JSON),
        _ if matches!(column, Column::Text | Column::Pair) => false,
        Some(Physical::BOOLEAN | Physical::FLOAT | Physical::DOUBLE) => true,
        Some(Physical::INT32) => matches!(
            converted,
            C::NONE | C::INT_8 | C::INT_16 | C::INT_32 | C::UINT_8 | C::UINT_16 | C::UINT_32
        ),
        Some(Physical::INT64) => matches!(converted, C::NONE | C::INT_64 | C::UINT_64),
        _ => false,
    };
    let found = match physical {
        _ if fits => return Ok(()),
        None => "nested".to_owned(),
        Some(physical) if converted == C::NONE => physical.to_string(),
        Some(_) => converted.to_string(),
    };
    Err(DataProblem::ColumnType {
        name: field.name().to_owned(),
        found,
        expected: match column {
            Column::Text | Column::Pair => "strings",
            _ => "strings, integers, floats or booleans",
        },
    })
}

fn check_compression(name: &str, compression: Compression) -> Result<(), DataProblem> {
    match compression {
        Compression::UNCOMPRESSED
        | Compression::SNAPPY
        | Compression::GZIP(_)
        | Compression::ZSTD(_) => Ok(()),
        other => {
            let text = other.to_string();
            let found = text.split('(').next().unwrap_or(&text).to_owned();
            let name = name.to_owned();
            Err(DataProblem::Compression { name, found })
        }
    }
}

/// Returns a value as text, `None` for null.
fn value(field: &Field) -> Result<Option<String>, DataProblem> {
    let text = |bytes: &[u8]| {
        if bytes.len() > LIMIT {
            return Err(Fault::TooLong.into());
        }
        let text = Encoding::new(false).check(bytes)?;
        Ok(Some(text.to_owned()))
    };
    Ok(Some(match field {
        Field::Null => return Ok(None),
        Field::Str(value) => return text(value.as_bytes()),
        Field::Bytes(value) => return text(value.data()),
        Field::Bool(value) => value.to_string(),
        Field::Byte(value) => value.to_string(),
        Field::Short(value) => value.to_string(),
        Field::Int(value) => value.to_string(),
        Field::Long(value) => value.to_string(),
        Field::UByte(value) => value.to_string(),
        Field::UShort(value) => value.to_string(),
        Field::UInt(value) => value.to_string(),
        Field::ULong(value) => value.to_string(),
        Field::Float(value) => value.to_string(),
        Field::Double(value) => value.to_string(),
        // The types of the columns are checked when the file is opened.
        other => return Err(DataProblem::Parquet(format!("unexpected value {other}"))),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Columns, Format, RowReader};
    use rtune_text::panic_becomes_error;

    fn path(name: &str) -> std::path::PathBuf {
        rtune_testkit::fixtures().join("data").join(name)
    }

    fn columns(text: &str, label: &str) -> Columns {
        Columns {
            text: text.to_owned(),
            label: label.to_owned(),
            ..Columns::default()
        }
    }

    #[test]
    fn every_compression_gives_the_same_rows() {
        let columns = Columns {
            others: vec!["id".to_owned(), "label".to_owned()],
            ..Columns::default()
        };
        for name in ["none", "snappy", "gzip", "zstd"] {
            let reader = RowReader::labelled(&path(&format!("{name}.parquet")), &columns).unwrap();
            let rows: Vec<Row> = reader.map(|row| row.unwrap().unwrap()).collect();
            let text =
                |row: &Row| format!("{} {} {:?} {:?}", row.line, row.text, row.label, row.others);
            assert_eq!(
                text(&rows[1]),
                "2 the film was good Some(\"2\") [\"12\", \"2\"]"
            );
            assert_eq!(rows[2].text, "a café, \"or\nso\"");
            assert_eq!(text(&rows[3]), "4 film Some(\"7\") [\"14\", \"7\"]");
            assert_eq!(rows.len(), 4);
        }
    }

    #[test]
    fn labels_may_have_many_types() {
        let path = path("types.parquet");
        for (label, expected) in [
            ("flag", ["true", "", "row 3: the label is missing"]),
            ("small", ["1", "", "3"]),
            ("whole", ["1", "", "0"]),
            ("half", ["0.5", "", "0.1"]),
            ("text", ["the film", "", "film"]),
        ] {
            let reader = RowReader::labelled(&path, &columns("text", label)).unwrap();
            let found: Vec<String> = reader
                .map(|row| match row.unwrap() {
                    Ok(row) => row.label.unwrap(),
                    Err(error) => error.of(Path::new("a.parquet")).to_string(),
                })
                .collect();
            assert_eq!(found[0], expected[0], "{label}");
            assert!(
                found[1].ends_with("row 2: the text is null, not a string"),
                "{label}"
            );
            assert!(found[2].ends_with(expected[2]), "{label}");
        }
    }

    #[test]
    fn faults_are_named() {
        let message = |name: &str, text: &str, label: &str| {
            let path = path(name);
            let rows = RowReader::labelled(&path, &columns(text, label));
            let rows =
                rows.and_then(|rows| rows.map(|row| row?.map_err(|e| e.of(&path))).collect());
            let rows: Result<Vec<Row>, DataError> = rows;
            let error = rows.unwrap_err();
            let place = path.parent().unwrap().display().to_string();
            error.to_string().replace(&place, "").replacen('/', "", 1)
        };
        for ((name, text, label), expected) in [
            (
                ("types.parquet", "small", "flag"),
                "types.parquet: the column `small` has the type UINT_8; expected strings",
            ),
            (
                ("types.parquet", "text", "list"),
                "types.parquet: the column `list` has the type nested; \
                 expected strings, integers, floats or booleans",
            ),
            (
                ("types.parquet", "text", "day"),
                "types.parquet: the column `day` has the type DATE; \
                 expected strings, integers, floats or booleans",
            ),
            (
                ("none.parquet", "text", "stars"),
                "none.parquet: no column `stars`; the schema has `id`, `text`, `label`",
            ),
            (
                ("lz4.parquet", "text", "label"),
                "lz4.parquet: the column `text` is compressed with LZ4_RAW; \
                 write the file with snappy, gzip or zstd, or uncompressed",
            ),
            (
                ("no_rows.parquet", "text", "flag"),
                "no_rows.parquet: the file is empty",
            ),
            (
                ("types.parquet", "bytes", "small"),
                "types.parquet, row 2: byte 4 of the line, 0xE9, is not UTF-8; if the file is \
                 Windows-1252 or Latin-1, where the word is `café`, convert it to UTF-8",
            ),
        ] {
            assert_eq!(message(name, text, label), expected);
        }
    }

    /// Damage is an error or not noticed, and never a panic.
    #[test]
    fn damaged_files_are_errors() {
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !panic_becomes_error() {
                hook(info);
            }
        }));
        for name in ["snappy", "gzip", "zstd", "none"] {
            let bytes = std::fs::read(path(&format!("{name}.parquet"))).unwrap();
            let read = |bytes: Vec<u8>| {
                let reader = Box::new(std::io::Cursor::new(bytes));
                let path = Path::new("a.parquet");
                let rows = RowReader::new(path, Format::Parquet, reader, &Columns::default());
                rows.map(|rows| rows.take(100).count())
            };
            for length in 0..bytes.len() {
                assert!(read(bytes[..length].to_vec()).is_err());
            }
            for at in 0..bytes.len() {
                for bit in [0x01, 0x10, 0x80, 0xff] {
                    let mut bytes = bytes.clone();
                    bytes[at] ^= bit;
                    let _ = read(bytes);
                }
            }
        }
    }
}
