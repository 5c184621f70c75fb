use std::path::Path;

/// The kind of a file, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A table with a header: `.csv`, with commas by default, or `.tsv`, with tabs.
    Delimited(
        /// The usual separator of fields.
        char,
    ),
    /// JSON objects, one on each line or in an array: `.jsonl`, `.ndjson` or `.json`.
    Json,
    /// Texts, one on each line: `.txt`.
    Lines,
    /// Columns in binary form: `.parquet`.
    Parquet,
}

impl Format {
    /// Returns the format of a file; `.gz` at the end of the name is ignored.
    pub fn of(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_string_lossy().to_ascii_lowercase();
        let name = name.strip_suffix(".gz").unwrap_or(&name);
        match name.rsplit_once('.')?.1 {
            "csv" => Some(Self::Delimited(',')),
            "tsv" | "tab" => Some(Self::Delimited('\t')),
            "json" | "jsonl" | "ndjson" => Some(Self::Json),
            "txt" => Some(Self::Lines),
            "parquet" => Some(Self::Parquet),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ending_says_what_the_format_is() {
        for (name, format) in [
            ("a.csv", Some(Format::Delimited(','))),
            ("a.b/A.TSV.GZ", Some(Format::Delimited('\t'))),
            ("a.json", Some(Format::Json)),
            ("a.ndjson.gz", Some(Format::Json)),
            ("a.txt", Some(Format::Lines)),
            ("a.parquet", Some(Format::Parquet)),
            ("a.gz", None),
            ("a.xlsx", None),
            ("csv", None),
        ] {
            assert_eq!(Format::of(Path::new(name)), format, "{name}");
        }
    }
}
