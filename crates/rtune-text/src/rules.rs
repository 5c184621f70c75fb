//! The compiled normalization rules of SentencePiece.
//!
//! They begin with the size in bytes of a table, as a little-endian number of four bytes. Their
//! reader, a part of tokenizers, reserves memory of that size before it looks for the table.

/// Returns whether rules hold the table whose size they state.
pub(crate) fn are_whole(rules: &[u8]) -> bool {
    match rules.split_first_chunk() {
        Some((size, table)) => u32::from_le_bytes(*size) as usize <= table.len(),
        None => false,
    }
}

/// Returns whether all rules in the content of a `tokenizer.json`, which has them in Base64, hold
/// the tables whose sizes they state.
pub(crate) fn of_json_are_whole(content: &[u8]) -> bool {
    const KEY: &[u8] = b"\"precompiled_charsmap\"";
    let mut rest = content;
    while let Some(place) = find(rest, KEY) {
        rest = &rest[place + KEY.len()..];
        let Some((value, after)) = string(rest) else {
            continue;
        };
        let digits: Vec<u32> = value.iter().copied().filter_map(digit).collect();
        let bytes = digits.len() / 4 * 3 + (digits.len() % 4) * 3 / 4;
        let first = digits.iter().chain(&[0; 6]).take(6);
        let bits = first.fold(0_u64, |bits, digit| bits << 6 | u64::from(*digit));
        // 36 bits, of which the first 32 are the size. The reader refuses fewer than four bytes.
        let size = ((bits >> 4) as u32).swap_bytes() as usize;
        if bytes >= 4 && size + 4 > bytes {
            return false;
        }
        rest = after;
    }
    true
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

/// The string that follows a key, and the text behind it; none if another value does.
fn string(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let text = text.trim_ascii_start().strip_prefix(b":")?;
    let text = text.trim_ascii_start().strip_prefix(b"\"")?;
    let end = text.iter().position(|byte| *byte == b'"')?;
    Some((&text[..end], &text[end..]))
}

/// The value of a digit of Base64; none for others, such as the backslash of `\/`.
fn digit(byte: u8) -> Option<u32> {
    let value = match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    };
    Some(value.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_beyond_the_rules_is_found() {
        for (rules, expected) in [
            (&[][..], false),
            (&[0, 0, 0], false),
            (&[0, 0, 0, 0], true),
            (&[4, 0, 0, 0, 1, 2, 3, 4, 5], true),
            (&[6, 0, 0, 0, 1, 2, 3, 4, 5], false),
            (&[0, 0, 0, 255, 1, 2, 3, 4], false),
        ] {
            assert_eq!(are_whole(rules), expected, "{rules:?}");
        }
    }

    /// The same rules in Base64.
    #[test]
    fn a_size_beyond_the_rules_is_found_in_json() {
        for (value, expected) in [
            ("\"\"", true),
            ("\"AAAAAA==\"", true),
            ("\"BAAAAAECAwQF\"", true),
            ("\"BgAAAAECAwQF\"", false),
            ("\"AAAA/wECAwQ=\"", false),
            ("\"AAAA\\/wECAwQ=\"", false),
            ("null", true),
            ("\"BgAAAAE", true),
        ] {
            let json = format!("{{\"a\": 1, \"precompiled_charsmap\" : {value}}}");
            assert_eq!(of_json_are_whole(json.as_bytes()), expected, "{json}");
        }
        let both = "\"precompiled_charsmap\":\"AAAAAA==\",\"precompiled_charsmap\":\"AAAA/w==\"";
        assert!(!of_json_are_whole(both.as_bytes()));
    }
}
