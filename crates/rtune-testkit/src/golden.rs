use crate::root;

/// Compares text with a golden file, whose path is relative to the root of the source tree.
/// `RTUNE_BLESS=1` writes the file instead; read the difference before you commit it.
///
/// # Panics
/// If the texts differ; the message shows the lines.
pub fn golden(file: &str, found: &str) {
    let path = root().join(file);
    if std::env::var_os("RTUNE_BLESS").is_some() {
        std::fs::write(&path, found).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        expected == found,
        "{file} differs (- expected, + found; RTUNE_BLESS=1 accepts what was found):\n{}",
        difference(&expected, found)
    );
}

/// Returns the lines of two texts as a unified diff with three lines of context.
pub fn difference(expected: &str, found: &str) -> String {
    let diff = similar::TextDiff::from_lines(expected, found);
    let mut lines = String::new();
    for (index, group) in diff.grouped_ops(3).iter().enumerate() {
        if index > 0 {
            lines += "…\n";
        }
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            lines += &format!("{}{}", change.tag(), change.value());
            if change.missing_newline() {
                lines += "\n";
            }
        }
    }
    lines
}
