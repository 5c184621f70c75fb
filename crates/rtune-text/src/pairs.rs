//! The template of a tokenizer for pairs of texts.

use serde_json::Value;
use tokenizers::utils::truncation::truncate_encodings;
use tokenizers::{Encoding, PostProcessor as _, Tokenizer, TruncationParams};

/// Tokenizes a pair with a tokenizer that cuts nothing itself. One with a limit would cut each text
/// to it before it compares their lengths, and of two texts beyond it take neither for the longer.
/// Returns both texts without the tokens around them, and the pair.
///
/// # Errors
/// If the tokenizer fails.
pub(crate) fn encode(
    tokenizer: &Tokenizer,
    limit: &TruncationParams,
    texts: [&str; 2],
) -> tokenizers::Result<([Encoding; 2], Encoding)> {
    let [first, second] = texts.map(|text| tokenizer.encode_fast(text, false));
    let room = TruncationParams {
        max_length: limit.max_length.saturating_sub(added_tokens(tokenizer)),
        ..limit.clone()
    };
    let (first, second) = truncate_encodings(first?, Some(second?), &room)?;
    let second = second.unwrap_or_default();
    let pair = tokenizer.post_process(first.clone(), Some(second.clone()), true)?;
    Ok(([first, second], pair))
}

/// The number of tokens that are added to each pair.
fn added_tokens(tokenizer: &Tokenizer) -> usize {
    let processor = tokenizer.get_post_processor();
    processor.map_or(0, |processor| processor.added_tokens(true))
}

/// Returns the reason why a tokenizer makes no sequences of pairs, with a remedy, if there is one.
pub(crate) fn problem(tokenizer: &Tokenizer, max_length: usize) -> Option<String> {
    let template = serde_json::to_value(tokenizer.get_post_processor()).unwrap_or_default();
    if !separates(&template) {
        return Some(
            "puts no token between the texts of a pair, so a model could not tell where the second \
             begins; give its post_processor a template `pair` with a separator between A and B, \
             or take a model that has one"
                .to_owned(),
        );
    }
    let added = added_tokens(tokenizer);
    let least = added + 2;
    (max_length < least).then(|| {
        format!(
            "max length {max_length} leaves no room for a token of each text of a pair beside the \
             {added} special ones; give at least {least}"
        )
    })
}

/// True if a post-processor puts a token between the texts of a pair. The default template of
/// tokenizers that state none for pairs is one text after the other.
fn separates(processor: &Value) -> bool {
    let list = |name: &str| processor.get(name).and_then(Value::as_array);
    match processor.get("type").and_then(Value::as_str) {
        Some("BertProcessing" | "RobertaProcessing") => true,
        Some("Sequence") => list("processors").is_some_and(|parts| parts.iter().any(separates)),
        Some("TemplateProcessing") => list("pair").is_some_and(|parts| {
            let place = |name: &str| {
                let is_text = |part: &Value| part["Sequence"]["id"] == name;
                parts.iter().position(is_text)
            };
            let both = place("A").zip(place("B"));
            both.is_some_and(|(first, second)| first.abs_diff(second) > 1)
        }),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TextError;
    use rtune_testkit::fixtures;
    use serde_json::json;

    fn texts(case: &Value) -> (&str, &str) {
        let text = |index: usize| case["texts"][index].as_str().unwrap();
        (text(0), text(1))
    }

    /// `fixtures/make_pairs.py` wrote the file.
    #[test]
    fn pairs_are_encoded_and_cut_as_by_transformers() {
        let cases = std::fs::read_to_string(fixtures().join("pairs.json")).unwrap();
        let cases: Vec<Value> = serde_json::from_str(&cases).unwrap();
        assert!(cases.len() > 200);
        for case in &cases {
            let folder = fixtures()
                .join("encoders")
                .join(case["tokenizer"].as_str().unwrap());
            let length = case["max_length"].as_u64().unwrap() as usize;
            let tokenizer = crate::Tokenizer::read(&folder, length).unwrap();
            let encoded = tokenizer.with_pairs(true).unwrap().encode(texts(case));
            let encoded = encoded.unwrap_or_else(|error| panic!("{case}: {error}"));
            let found = json!({
                "tokenizer": case["tokenizer"],
                "texts": case["texts"],
                "max_length": length,
                "input_ids": encoded.input_ids,
                "token_type_ids": encoded.token_type_ids,
                "truncated": encoded.truncated,
            });
            assert_eq!(found, *case);
        }
    }

    /// The tokenizer of BERT with another post-processor.
    fn with_processor(processor: &Value, length: usize) -> Result<crate::Tokenizer, TextError> {
        let file = std::fs::read(fixtures().join("encoders/bert/tokenizer.json")).unwrap();
        let mut file: Value = serde_json::from_slice(&file).unwrap();
        file["post_processor"] = processor.clone();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("tokenizer.json"), file.to_string()).unwrap();
        crate::Tokenizer::read(folder.path(), length)?.with_pairs(true)
    }

    #[test]
    fn a_template_without_separator_is_refused() {
        let template = |pair: Value| {
            json!({
                "type": "TemplateProcessing",
                "single": [{"Sequence": {"id": "A", "type_id": 0}}],
                "pair": pair,
                "special_tokens": {"[SEP]": {"id": "[SEP]", "ids": [3], "tokens": ["[SEP]"]}},
            })
        };
        let [a, b, separator] = [
            json!({"Sequence": {"id": "A", "type_id": 0}}),
            json!({"Sequence": {"id": "B", "type_id": 1}}),
            json!({"SpecialToken": {"id": "[SEP]", "type_id": 0}}),
        ];
        let byte_level = json!({
            "type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true,
        });
        let good = template(json!([a, separator, b]));
        let cases = [
            (Value::Null, false),
            (byte_level.clone(), false),
            (template(json!([a, b])), false),
            (template(json!([a, b, separator])), false),
            (good.clone(), true),
            (
                json!({"type": "Sequence", "processors": [byte_level, good]}),
                true,
            ),
        ];
        for (processor, expected) in cases {
            match with_processor(&processor, 8) {
                Ok(_) => assert!(expected, "{processor}"),
                Err(error) => {
                    assert!(!expected, "{processor}: {error}");
                    assert!(error.to_string().contains("template `pair`"), "{error}");
                }
            }
        }
    }

    #[test]
    fn each_text_of_a_pair_has_room_and_words() {
        let bert = json!({"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]});
        let error = with_processor(&bert, 4).unwrap_err().to_string();
        assert!(error.ends_with("give at least 5"), "{error}");
        let pairs = with_processor(&bert, 5).unwrap();
        assert_eq!((pairs.largest_type(), pairs.takes_pairs()), (1, true));
        let encoded = pairs.encode(("the film", "the film")).unwrap();
        assert_eq!(encoded.input_ids, [2, 5, 3, 5, 3]);
        let single = pairs.clone().with_pairs(false).unwrap();
        assert_eq!(single.largest_type(), 0);
        let cases = [
            (pairs.encode("the film"), "PairExpected"),
            (single.encode(("the film", "the film")), "PairNotTaken"),
            (pairs.encode((" ", "the film")), "Empty"),
            (pairs.encode(("the film", "\n")), "EmptySecond"),
            (pairs.encode(("the film", "[SEP]")), "EmptySecond"),
            (pairs.encode(("dreadful", "the film")), "Unknown"),
            (pairs.encode(("the film", "dreadful")), "UnknownSecond"),
        ];
        for (found, expected) in cases {
            assert_eq!(format!("{:?}", found.unwrap_err()), expected);
        }
    }
}
