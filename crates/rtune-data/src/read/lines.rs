//! Plain texts, one on each line.

use super::RawRow;

/// Reads the lines that are not empty.
pub(super) fn read(content: &str) -> Vec<RawRow> {
    let lines = (1..).zip(content.lines());
    lines
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(line, text)| RawRow {
            line,
            text: text.to_owned(),
            label: None,
        })
        .collect()
}
