//! Lists in one argument: values separated by commas, quoted as in CSV if they hold a comma.

/// Splits a list at its commas. White space around a value is dropped; within double quotes,
/// commas and white space are kept, and two quotes are one.
///
/// # Errors
/// If a quote is not closed, or has text beside it.
pub(crate) fn split(text: &str) -> Result<Vec<String>, String> {
    let mut values = Vec::new();
    let mut rest = text;
    loop {
        let (value, after) = match rest.trim_start().strip_prefix('"') {
            Some(quoted) => quoted_value(quoted)?,
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                (rest[..end].trim().to_owned(), &rest[end..])
            }
        };
        values.push(value);
        let after = after.trim_start();
        rest = match after.strip_prefix(',') {
            Some(rest) => rest,
            None if after.is_empty() => return Ok(values),
            None => {
                return Err(format!(
                    "expected a comma after a quoted name, found `{after}`"
                ));
            }
        };
    }
}

/// Returns the value up to the closing quote, and what follows it.
fn quoted_value(text: &str) -> Result<(String, &str), String> {
    let mut value = String::new();
    let mut rest = text;
    loop {
        let Some((part, after)) = rest.split_once('"') else {
            return Err("a quote is not closed".to_owned());
        };
        value += part;
        match after.strip_prefix('"') {
            Some(after) => {
                value.push('"');
                rest = after;
            }
            None => return Ok((value, after)),
        }
    }
}

/// Joins values to a list that [`split`] takes apart again.
pub(crate) fn join(values: &[String]) -> String {
    let quoted = |value: &String| {
        let plain = !value.contains([',', '"']) && value.trim() == value && !value.is_empty();
        match plain {
            true => value.clone(),
            false => format!("\"{}\"", value.replace('"', "\"\"")),
        }
    };
    let values: Vec<String> = values.iter().map(quoted).collect();
    values.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_split_at_commas_outside_of_quotes() {
        let cases: [(&str, &[&str]); 7] = [
            ("a,b", &["a", "b"]),
            (" a , b b ,c", &["a", "b b", "c"]),
            ("-1,0,1", &["-1", "0", "1"]),
            ("\"a, b\",c", &["a, b", "c"]),
            ("\" a \" , \"say \"\"b\"\"\"", &[" a ", "say \"b\""]),
            ("a,,b", &["a", "", "b"]),
            ("5\" wide,b", &["5\" wide", "b"]),
        ];
        for (text, expected) in cases {
            assert_eq!(split(text).unwrap(), expected, "{text}");
        }
        for text in ["\"a", "\"a\"b,c"] {
            assert!(split(text).is_err(), "{text}");
        }
    }

    #[test]
    fn joined_values_come_apart_again() {
        let values = ["a", "a, b", " c ", "say \"d\"", "-1", "", "e f"].map(String::from);
        assert_eq!(split(&join(&values)).unwrap(), values);
    }
}
