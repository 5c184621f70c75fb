//! Random tables in every format are read back as they were, and random bytes are an error.

#![expect(
    clippy::unwrap_used,
    reason = "a failure in a test's own work is the test's failure"
)]

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use rtune_data::{Columns, Format, RowReader};
use std::io::{Cursor, Read, Write as _};
use std::path::Path;

/// A text, a label and an id.
type Row = (String, String, String);

/// Texts of any characters but NUL, and often of those that have a meaning in some format.
fn text() -> impl Strategy<Value = String> {
    let character = prop_oneof![
        4 => proptest::sample::select(vec![
            '"', ',', ';', '\t', '|', '\n', '\r', ' ', '\\', '{', '}', '[', ']', ':', 'a', '\u{feff}',
        ]),
        1 => any::<char>().prop_filter("NUL", |character| *character != '\0'),
    ];
    proptest::collection::vec(character, 0..12).prop_map(String::from_iter)
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    proptest::collection::vec((text(), text(), text()), 1..8)
}

fn read(name: &str, bytes: Vec<u8>) -> Result<Vec<Row>, String> {
    let columns = Columns {
        others: vec!["label".to_owned(), "the id".to_owned()],
        ..Columns::default()
    };
    let path = Path::new(name);
    let reader = RowReader::new(
        path,
        Format::of(path).unwrap(),
        Box::new(Cursor::new(bytes)),
        &columns,
    );
    let rows = reader.map_err(|error| error.to_string())?.map(|row| {
        let row = row.map_err(|error| error.to_string())?;
        let row = row.map_err(|error| error.of(path).to_string())?;
        let [label, id]: [String; 2] = row.others.try_into().unwrap();
        Ok((row.text, label, id))
    });
    rows.collect()
}

fn table(rows: &[Row], delimiter: u8, style: csv::QuoteStyle, end: csv::Terminator) -> Vec<u8> {
    let mut writer = csv::WriterBuilder::new()
        .delimiter(delimiter)
        .quote_style(style)
        .terminator(end)
        .from_writer(Vec::new());
    writer.write_record(["the id", "text", "label"]).unwrap();
    for (text, label, id) in rows {
        writer.write_record([id, text, label]).unwrap();
    }
    writer.into_inner().unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn utf16(bytes: &[u8], big: bool) -> Vec<u8> {
    let text = std::str::from_utf8(bytes).unwrap();
    let units = std::iter::once(0xfeff).chain(text.encode_utf16());
    let bytes = |unit: u16| {
        if big {
            unit.to_be_bytes()
        } else {
            unit.to_le_bytes()
        }
    };
    units.flat_map(bytes).collect()
}

fn objects(rows: &[Row]) -> Vec<serde_json::Value> {
    let object = |(text, label, id): &Row| serde_json::json!({"id": 7, "the id": id, "text": text, "label": label});
    rows.iter().map(object).collect()
}

proptest! {
    #[test]
    fn tables(rows in rows(), always: bool, end in 0..3_usize, big: bool) {
        let style = if always { csv::QuoteStyle::Always } else { csv::QuoteStyle::Necessary };
        let end = match end {
            0 => csv::Terminator::CRLF,
            1 => csv::Terminator::Any(b'\r'),
            _ => csv::Terminator::Any(b'\n'),
        };
        for (delimiter, name) in [(b',', "a.csv"), (b'\t', "a.tsv"), (b';', "a.csv"), (b'|', "a.tsv")] {
            let bytes = table(&rows, delimiter, style, end);
            prop_assert_eq!(read(name, bytes.clone()), Ok(rows.clone()), "{}", name);
            prop_assert_eq!(read(name, gzip(&bytes)), Ok(rows.clone()));
            prop_assert_eq!(read(name, utf16(&bytes, big)), Ok(rows.clone()));
            prop_assert_eq!(read(name, [b"\xef\xbb\xbf", &*bytes].concat()), Ok(rows.clone()));
        }
    }

    #[test]
    fn json(rows in rows(), big: bool) {
        let objects = objects(&rows);
        let lines: String = objects.iter().map(|object| format!("{object}\n")).collect();
        let several = objects.iter().map(|object| serde_json::to_string_pretty(object).unwrap());
        let several: Vec<String> = several.collect();
        let array = serde_json::to_string(&objects).unwrap();
        let pretty = serde_json::to_string_pretty(&objects).unwrap();
        for content in [lines, several.join("\n"), array, pretty] {
            for content in [content.clone(), content.replace('\n', "\r\n"), content.replace('\n', "\r")] {
                let bytes = content.as_bytes();
                prop_assert_eq!(read("a.json", bytes.to_vec()), Ok(rows.clone()), "{}", content);
                prop_assert_eq!(read("a.jsonl", gzip(bytes)), Ok(rows.clone()));
                prop_assert_eq!(read("a.json", utf16(bytes, big)), Ok(rows.clone()));
            }
        }
    }

    /// Whatever the bytes are, reading ends, and rows are at ascending lines.
    #[test]
    fn bytes(
        pieces in proptest::collection::vec(prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..9),
            proptest::sample::select(vec![
                &b"text"[..], b",label", b"\n", b"\r\n", b"\r", b"\"", b"\"\"", b",", b"\0",
                b"{\"text\": \"a\"}", b"{\"text\"", b"[", b"]", b"{", b"}", b"\xff\xfe", b"\x1f\x8b\x08",
            ]).prop_map(<[u8]>::to_vec),
        ], 0..20),
        header: bool,
    ) {
        let mut bytes = if header { b"text,label\n".to_vec() } else { Vec::new() };
        bytes.extend(pieces.concat());
        for name in ["a.csv", "a.tsv", "a.json", "a.txt", "a.parquet", "a.csv.gz"] {
            let reader = Box::new(Cursor::new(bytes.clone()));
            let path = Path::new(name);
            let format = Format::of(path).unwrap();
            let Ok(rows) = RowReader::new(path, format, reader, &Columns::default()) else {
                continue;
            };
            let mut last = 0;
            for (count, row) in rows.enumerate() {
                prop_assert!(count <= 2 * bytes.len(), "{} does not end", name);
                if let Ok(Ok(row)) = row {
                    prop_assert!(row.line >= last, "{}", name);
                    prop_assert!(row.line > last || name == "a.json");
                    last = row.line;
                }
            }
        }
    }
}

/// A hundred megabytes without a line break are one bad row in every format, and the memory stays
/// small because the bytes are not kept.
#[test]
fn a_huge_row_is_a_bad_row() {
    for (name, start, end) in [
        ("a.csv", "text\n", "\nlast\n"),
        ("a.csv", "text\n\"", "\"\nlast\n"),
        ("a.jsonl", "{\"text\": \"", "\"}\n{\"text\": \"last\"}\n"),
        ("a.json", "[{\"text\": \"", "\"},\n{\"text\": \"last\"}]"),
        ("a.txt", "", "\nlast\n"),
    ] {
        let middle = std::io::repeat(b'a').take(100 << 20);
        let reader = Cursor::new(start).chain(middle).chain(Cursor::new(end));
        let path = Path::new(name);
        let format = Format::of(path).unwrap();
        let rows = RowReader::new(path, format, Box::new(reader), &Columns::default());
        let rows: Vec<_> = rows.unwrap().map(Result::unwrap).collect();
        let error = rows[0].as_ref().unwrap_err().problem.to_string();
        assert!(error.starts_with("the row has more than 4 MiB"), "{error}");
        assert_eq!(rows[1].as_ref().unwrap().text, "last", "{name}");
        assert_eq!(rows.len(), 2);
    }
}
