//! Tokenizer files with any one value replaced are read, or are errors; nothing panics.

#![expect(
    clippy::unwrap_used,
    reason = "a failure of a helper is the test's failure"
)]

use rtune_text::{Tokenizer, panic_becomes_error};
use serde_json::{Value, json};
use std::path::Path;

/// The tokenizers of the fixtures, and one in the form of XLM-RoBERTa's.
fn files() -> Vec<Value> {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/encoders");
    let read = |family: &str| {
        let text = std::fs::read(fixtures.join(family).join("tokenizer.json")).unwrap();
        serde_json::from_slice::<Value>(&text).unwrap()
    };
    let mut files = vec![read("bert"), read("roberta")];
    let mut unigram = read("roberta");
    unigram["model"] = json!({
        "type": "Unigram",
        "unk_id": 0,
        "vocab": [["<unk>", 0.0], ["\u{2581}a", -1.0], ["b", -2.0], ["good", -3.0]],
        "byte_fallback": false,
    });
    unigram["pre_tokenizer"] = json!({
        "type": "Metaspace", "replacement": "\u{2581}", "prepend_scheme": "always", "split": true,
    });
    unigram["post_processor"] = json!(null);
    files.push(unigram.clone());
    unigram["normalizer"] = json!({"type": "Precompiled", "precompiled_charsmap": "AAAA"});
    files.push(unigram);
    files
}

/// The places of all values, as JSON pointers; of long lists, of the first few.
fn places(value: &Value, place: &str, found: &mut Vec<String>) {
    found.push(place.to_owned());
    match value {
        Value::Object(fields) => {
            for (name, value) in fields.iter().take(8) {
                let name = name.replace('~', "~0").replace('/', "~1");
                places(value, &format!("{place}/{name}"), found);
            }
        }
        Value::Array(values) => {
            for (index, value) in values.iter().enumerate().take(3) {
                places(value, &format!("{place}/{index}"), found);
            }
        }
        _ => {}
    }
}

#[test]
fn any_value_may_be_another_one() {
    // Panics that become errors are not printed; any other ends the test with its message.
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if !panic_becomes_error() {
            print(info);
        }
    }));
    let others = [
        json!(null),
        json!(-1),
        json!(u32::MAX),
        json!("[unk"),
        json!([]),
        json!({"a": u32::MAX}),
    ];
    let folder = tempfile::tempdir().unwrap();
    let (mut read, mut refused) = (0, 0);
    for file in files() {
        let mut all = Vec::new();
        places(&file, "", &mut all);
        for place in all {
            for other in &others {
                let mut damaged = file.clone();
                *damaged.pointer_mut(&place).unwrap() = other.clone();
                let path = folder.path().join("tokenizer.json");
                std::fs::write(path, damaged.to_string()).unwrap();
                let Ok(tokenizer) = Tokenizer::read(folder.path(), 8) else {
                    refused += 1;
                    continue;
                };
                read += 1;
                let _ = (tokenizer.largest_id(), tokenizer.largest_type());
                for text in ["a good film", "\u{fc}\u{4e2d} x\u{0}y", "<mask> a </s>"] {
                    // A text without a known token is an error, too.
                    let _ = tokenizer.encode(text);
                }
            }
        }
    }
    assert!(read > 50 && refused > 50, "{read} read, {refused} refused");
}
