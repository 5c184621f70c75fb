//! The task of a model of sequence classification that Hugging Face's transformers wrote.

use crate::{EncoderConfig, ModelConfig, NnError, Result};
use rtune_task::{Cutpoints, Decision, Link, Pooling, Task, TaskSpec};
use serde_json::Value;

/// The end of the names of transformers' classes with a head for sequences.
pub(crate) const CLASS: &str = "ForSequenceClassification";
/// The greatest number of classes: each has a row of the last layer.
const MOST_CLASSES: usize = 1 << 16;

/// The task that `architectures`, `problem_type` and the names of the classes state, or `None` for
/// a model without a head for sequences.
///
/// # Errors
/// If the fields are not valid, or state a task that rtune does not have.
pub(crate) fn task(config: &ModelConfig) -> Result<Option<TaskSpec>> {
    let classes = config.field("architectures").and_then(Value::as_array);
    let mut classes = classes.into_iter().flatten().filter_map(Value::as_str);
    if !classes.any(|class| class.ends_with(CLASS)) {
        return Ok(None);
    }
    let encoder = EncoderConfig::parse(config)?;
    let labels = labels(config)?;
    let (task, labels) = match (problem_type(config)?, labels.len()) {
        (None | Some("regression"), 1) => (Task::Regression, Vec::new()),
        (None | Some("single_label_classification"), 2..) => (Task::Classification, labels),
        (Some(problem_type), count) => {
            let problem = format!(
                "`{problem_type}` with {count} outputs is not supported; supported are regression \
                 with 1 and single_label_classification with 2 or more"
            );
            return Err(wrong("problem_type", problem));
        }
        (None, _) => return Err(wrong("id2label", "names no class")),
    };
    Ok(Some(TaskSpec {
        task,
        labels,
        pooling: Pooling::Pooler,
        link: Link::default(),
        cutpoints: Cutpoints::default(),
        decision: Decision::default(),
        targets: None,
        text_pairs: false,
        max_length: encoder.max_length()?,
    }))
}

/// The name that transformers gives a class without one.
fn placeholder(class: usize) -> String {
    format!("LABEL_{class}")
}

/// True if all names are those of classes without names.
pub(crate) fn are_placeholders(labels: &[String]) -> bool {
    let mut all = (0..).zip(labels);
    all.all(|(class, label)| *label == placeholder(class))
}

fn wrong(key: &str, problem: impl Into<String>) -> NnError {
    NnError::config(format!("{key} in config.json"), problem)
}

fn problem_type(config: &ModelConfig) -> Result<Option<&str>> {
    match config.field("problem_type") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(name)) => Ok(Some(name)),
        Some(other) => Err(wrong("problem_type", format!("is {other}, no text"))),
    }
}

/// The names of the classes in order. Without names there are two classes, or `num_labels`.
fn labels(config: &ModelConfig) -> Result<Vec<String>> {
    let names = config
        .field("id2label")
        .filter(|names| !names.is_null())
        .map(|names| match names {
            Value::Object(names) => Ok(names),
            other => Err(wrong("id2label", format!("is {other}, no object"))),
        })
        .transpose()?;
    let count = match (names, config.field("num_labels")) {
        (Some(names), _) => names.len(),
        (None, None | Some(Value::Null)) => 2,
        (None, Some(count)) => count
            .as_u64()
            .and_then(|count| usize::try_from(count).ok())
            .ok_or_else(|| wrong("num_labels", format!("is {count}, no number of classes")))?,
    };
    if count > MOST_CLASSES {
        let problem = format!("{count} classes, expected at most {MOST_CLASSES}");
        return Err(wrong("num_labels", problem));
    }
    let Some(names) = names else {
        return Ok((0..count).map(placeholder).collect());
    };
    let name = |class: usize| match names.get(&class.to_string()) {
        Some(Value::String(name)) => Ok(name.clone()),
        Some(other) => Ok(other.to_string()),
        None => {
            let problem = format!("has {count} names, but none for class {class}");
            Err(wrong("id2label", problem))
        }
    };
    let labels: Vec<String> = (0..count).map(name).collect::<Result<_>>()?;
    let mut sorted: Vec<&String> = labels.iter().collect();
    sorted.sort();
    match sorted.windows(2).find(|pair| pair[0] == pair[1]) {
        None => Ok(labels),
        Some(pair) => Err(wrong(
            "id2label",
            format!("names two classes `{}`", pair[0]),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn task_of(changes: &Value) -> Result<Option<TaskSpec>> {
        let mut config = json!({
            "model_type": "bert", "vocab_size": 9, "hidden_size": 4, "num_hidden_layers": 1,
            "num_attention_heads": 2, "intermediate_size": 8, "max_position_embeddings": 77,
            "architectures": ["BertForSequenceClassification"],
        });
        for (name, value) in changes.as_object().into_iter().flatten() {
            config[name] = value.clone();
        }
        task(&ModelConfig::from_json(config)?)
    }

    #[test]
    fn the_fields_of_transformers_state_the_task() -> Result<()> {
        let (classes, numbers) = (Task::Classification, Task::Regression);
        let cases: [(Value, Task, &[&str]); 7] = [
            (json!({}), classes, &["LABEL_0", "LABEL_1"]),
            (json!({"problem_type": null, "num_labels": 1}), numbers, &[]),
            (
                json!({"num_labels": 3}),
                classes,
                &["LABEL_0", "LABEL_1", "LABEL_2"],
            ),
            (json!({"id2label": {"0": "LABEL_0"}}), numbers, &[]),
            (
                json!({"id2label": {"0": "score"}, "problem_type": "regression"}),
                numbers,
                &[],
            ),
            (
                json!({"id2label": {"1": "no", "0": "yes"}}),
                classes,
                &["yes", "no"],
            ),
            (
                json!({
                    "id2label": {"0": 5, "1": 7}, "problem_type": "single_label_classification",
                }),
                classes,
                &["5", "7"],
            ),
        ];
        for (changes, expected, labels) in cases {
            let spec = task_of(&changes)?.ok_or_else(|| wrong("test", "no task"))?;
            assert_eq!(
                (spec.task, spec.pooling),
                (expected, Pooling::Pooler),
                "{changes}"
            );
            assert_eq!(spec.labels, labels, "{changes}");
            assert_eq!(spec.max_length, 77);
        }
        for architectures in [
            json!(["BertForMaskedLM"]),
            json!(["BertModel"]),
            json!(null),
        ] {
            assert_eq!(task_of(&json!({"architectures": architectures}))?, None);
        }
        Ok(())
    }

    #[test]
    fn fields_that_state_no_task_of_ours_are_named() {
        let cases = [
            (
                json!({"problem_type": "multi_label_classification"}),
                "problem_type in config.json: `multi_label_classification` with 2 outputs is not \
                 supported; supported are regression with 1 and single_label_classification with 2 \
                 or more",
            ),
            (
                json!({"problem_type": "regression"}),
                "problem_type in config.json: `regression` with 2 outputs is not supported; \
                 supported are regression with 1 and single_label_classification with 2 or more",
            ),
            (
                json!({"problem_type": 3}),
                "problem_type in config.json: is 3, no text",
            ),
            (
                json!({"id2label": {}}),
                "id2label in config.json: names no class",
            ),
            (
                json!({"id2label": {"0": "a", "2": "b"}}),
                "id2label in config.json: has 2 names, but none for class 1",
            ),
            (
                json!({"id2label": {"0": "a", "1": "a"}}),
                "id2label in config.json: names two classes `a`",
            ),
            (
                json!({"id2label": ["a"]}),
                "id2label in config.json: is [\"a\"], no object",
            ),
            (
                json!({"num_labels": -1}),
                "num_labels in config.json: is -1, no number of classes",
            ),
            (
                json!({"num_labels": 1e18 as u64}),
                "num_labels in config.json: 1000000000000000000 classes, expected at most 65536",
            ),
        ];
        for (changes, expected) in cases {
            let error = task_of(&changes).map_err(|error| error.to_string());
            assert_eq!(error, Err(expected.to_owned()), "{changes}");
        }
    }
}
