use crate::root;
use std::ffi::OsStr;

/// Returns true if tests write expected files rather than compare them: `RTUNE_BLESS` is set, and
/// not to nothing or `0`.
pub fn blessing() -> bool {
    blesses(std::env::var_os("RTUNE_BLESS").as_deref())
}

fn blesses(setting: Option<&OsStr>) -> bool {
    setting.is_some_and(|value| !value.is_empty() && value != "0")
}

/// Compares text with a golden file, whose path is relative to the root of the source tree.
/// `RTUNE_BLESS=1` writes the file instead; read the difference before you commit it.
///
/// # Panics
/// If the texts differ; the message shows the lines.
pub fn golden(file: &str, found: &str) {
    let path = root().join(file);
    if blessing() {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_written_only_on_a_clear_request() {
        let cases = [
            (None, false),
            (Some(""), false),
            (Some("0"), false),
            (Some("1"), true),
        ];
        for (setting, expected) in cases {
            assert_eq!(blesses(setting.map(OsStr::new)), expected, "{setting:?}");
        }
    }
}
