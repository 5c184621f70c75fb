use crate::encoders::infer;
use crate::{EncoderConfig, NnError, Result, StateDict, classifier};
use rtune_task::{OutputForm, Task, TaskSpec};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use std::path::Path;

/// A model's `config.json`. Fields that rtune does not read are kept and written back.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelConfig {
    fields: Map<String, Value>,
    /// True if the file names no family.
    is_inferred: bool,
}

impl ModelConfig {
    /// Reads `config.json` of a model folder. If it has no `model_type`, the names of the weights'
    /// tensors tell it, and `architectures` if several families have these names.
    ///
    /// # Errors
    /// If the file is missing, is not a JSON object, or the family remains open.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join("config.json");
        if !path.is_file() {
            return Err(NnError::MissingFile {
                folder: folder.to_owned(),
                expected: "config.json",
            });
        }
        let text = std::fs::read(&path).map_err(NnError::io(&path))?;
        let problem = |problem: String| NnError::File {
            path: path.clone(),
            problem,
        };
        let fields: Map<String, Value> = serde_json::from_slice(&text)
            .map_err(|e| problem(format!("not a JSON object: {e}")))?;
        let mut config = Self {
            fields,
            is_inferred: false,
        };
        match config.fields.get("model_type") {
            Some(Value::String(_)) => {}
            None | Some(Value::Null) => {
                let family = config.infer(folder).map_err(problem)?;
                config.fields.insert("model_type".to_owned(), json!(family));
                config.is_inferred = true;
            }
            Some(other) => return Err(problem(format!("model_type is {other}, expected a text"))),
        }
        Ok(config)
    }

    /// The family by the names of the tensors in a folder.
    fn infer(&self, folder: &Path) -> std::result::Result<&'static str, String> {
        let classes = self.fields.get("architectures").and_then(Value::as_array);
        let classes = classes.into_iter().flatten().filter_map(Value::as_str);
        let names = StateDict::stored_names(folder).map_err(|error| {
            format!("names no model_type, and the weights do not tell it ({error})")
        })?;
        infer(&names, &classes.collect::<Vec<_>>()).map_err(|reason| {
            format!("names no model_type, and {reason}; name the family of the model there")
        })
    }

    /// A config of these fields, which are an object.
    #[cfg(test)]
    pub(crate) fn from_json(json: Value) -> Result<Self> {
        match json {
            Value::Object(fields) => Ok(Self {
                fields,
                is_inferred: false,
            }),
            other => Err(NnError::config("config.json", other.to_string())),
        }
    }

    /// All fields.
    pub fn to_json(&self) -> Value {
        Value::Object(self.fields.clone())
    }

    /// One field.
    pub(crate) fn field(&self, name: &str) -> Option<&Value> {
        self.fields.get(name)
    }

    /// All fields by name.
    pub(crate) fn fields(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.fields
            .iter()
            .map(|(name, value)| (name.as_str(), value))
    }

    /// The family of the encoder.
    pub fn model_type(&self) -> &str {
        self.fields
            .get("model_type")
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    /// The family, if the file does not name it and the weights do.
    pub fn inferred_model_type(&self) -> Option<&str> {
        self.is_inferred.then(|| self.model_type())
    }

    /// The task that the model was trained for: rtune's own section, or else what Hugging Face's
    /// fields say of a model of sequence classification; `None` for a model without such a head.
    ///
    /// # Errors
    /// If the section or the fields are not valid, or state a task that rtune does not have.
    pub fn task(&self) -> Result<Option<TaskSpec>> {
        let Some(section) = self.fields.get("rtune") else {
            return classifier::task(self);
        };
        let invalid = |e: &dyn std::fmt::Display| {
            NnError::config("section `rtune` of config.json", e.to_string())
        };
        let spec: TaskSpec = serde_json::from_value(section.clone()).map_err(|e| invalid(&e))?;
        spec.check().map_err(|e| invalid(&e))?;
        Ok(Some(spec))
    }

    /// True if the config has rtune's own section.
    pub(crate) fn is_ours(&self) -> bool {
        self.fields.contains_key("rtune")
    }

    /// The names of the classes, if the model was trained for this task and has names for them.
    ///
    /// # Errors
    /// If rtune's own section is not valid.
    pub fn class_names(&self, task: Task) -> Result<Option<Vec<String>>> {
        match self.task() {
            Ok(spec) => Ok(spec
                .filter(|spec| spec.task == task && !classifier::are_placeholders(&spec.labels))
                .map(|spec| spec.labels)),
            // Another tool's head, of a task that rtune does not have.
            Err(_) if !self.is_ours() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The config with rtune's section, and with Hugging Face's fields for a model whose output
    /// `logits` has this form.
    ///
    /// Hugging Face's pipelines take each column of `logits` for a label. One column is therefore
    /// described as a regression, whose only name is `score`; the names of its classes are in
    /// rtune's section. `architectures` names the class of sequence classification if the head is
    /// the family's, and the encoder in all other cases: neither rtune's own head nor that of
    /// another purpose, such as `BertForMaskedLM`, is a part of a class. Weights are written in
    /// single precision.
    ///
    /// # Errors
    /// Serialization cannot fail for this type; the error type comes from serde_json.
    pub fn with_task(&self, spec: &TaskSpec, form: OutputForm) -> Result<Self> {
        let mut fields = self.fields.clone();
        let section = serde_json::to_value(spec)
            .map_err(|e| NnError::config("section `rtune`", e.to_string()))?;
        fields.insert("rtune".to_owned(), section);
        let has_classes = match spec.task {
            Task::Classification => true,
            Task::Ordinal => form == OutputForm::Probabilities,
            Task::Regression | Task::Embedding => false,
        };
        let (problem_type, names) = match has_classes {
            true => ("single_label_classification", spec.labels.clone()),
            false => ("regression", vec!["score".to_owned()]),
        };
        let names = || names.iter().enumerate();
        let by_id: Map<String, Value> = names().map(|(i, l)| (i.to_string(), json!(l))).collect();
        let by_label: Map<String, Value> = names().map(|(i, l)| (l.clone(), json!(i))).collect();
        for (name, value) in [
            ("problem_type", json!(problem_type)),
            ("num_labels", json!(by_id.len())),
            ("id2label", Value::Object(by_id)),
            ("label2id", Value::Object(by_label)),
        ] {
            fields.insert(name.to_owned(), value);
        }
        match EncoderConfig::class(self).filter(|_| spec.has_family_head()) {
            Some(family) => {
                let class = format!("{family}{}", classifier::CLASS);
                fields.insert("architectures".to_owned(), json!([class]));
            }
            None => {
                if let Some(Value::Array(classes)) = fields.get_mut("architectures") {
                    classes.iter_mut().for_each(name_of_encoder);
                }
            }
        }
        for name in ["dtype", "torch_dtype"] {
            if let Some(Value::String(dtype)) = fields.get_mut(name) {
                "float32".clone_into(dtype);
            }
        }
        Ok(Self {
            fields,
            is_inferred: false,
        })
    }

    /// The settings of one encoder family, which reads the given fields.
    ///
    /// # Errors
    /// If a field is missing or has another type, with its name.
    pub(crate) fn parse<T: DeserializeOwned>(&self, fields: &[&str]) -> Result<T> {
        let parse = |fields: &Map<String, Value>| {
            let parsed = serde_json::from_value(Value::Object(fields.clone()));
            parsed.map_err(|error: serde_json::Error| error.to_string())
        };
        let error = match parse(&self.fields) {
            Ok(parsed) => return Ok(parsed),
            Err(error) => error,
        };
        // serde does not say which field it was: the one without which the error is another one.
        let is_culprit = |field: &&&str| {
            let mut others = self.fields.clone();
            let is_there = others.remove(**field).is_some();
            is_there && parse(&others).map(|_: T| ()) != Err(error.clone())
        };
        let place = match fields.iter().find(is_culprit) {
            Some(field) => format!("{field} in config.json"),
            None => "config.json".to_owned(),
        };
        let words = [
            ("expected usize", "expected a whole number, 0 or more"),
            ("expected u32", "expected a whole number, 0 or more"),
            ("expected f64", "expected a number"),
        ];
        let replace = |text: String, (from, to): (&str, &str)| text.replace(from, to);
        Err(NnError::config(
            place,
            words.into_iter().fold(error, replace),
        ))
    }

    /// Writes `config.json` into a folder.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let path = folder.join("config.json");
        let text = serde_json::to_string_pretty(&self.fields)
            .map_err(|e| NnError::config("config.json", e.to_string()))?;
        std::fs::write(&path, text + "\n").map_err(NnError::io(path))
    }
}

/// Replaces the name of a model with a head by that of its encoder.
fn name_of_encoder(class: &mut Value) {
    if let Some((family, _)) = class.as_str().and_then(|name| name.split_once("For")) {
        *class = json!(format!("{family}Model"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rtune_task::{Cutpoints, Decision, Link, Pooling};

    #[test]
    fn fields_of_hugging_face_fit_the_columns_of_the_output() -> Result<()> {
        // The labels of an earlier task must not stay.
        let base = ModelConfig::from_json(json!({
            "model_type": "bert", "problem_type": "multi_label_classification",
            "id2label": {"0": "no", "1": "yes"}, "label2id": {"no": 0, "yes": 1}, "num_labels": 2,
            "architectures": ["BertForMaskedLM"], "torch_dtype": "bfloat16",
        }))?;
        let classes = json!({"0": "bad", "1": "fair", "2": "good"});
        let score = json!({"0": "score"});
        let (one, many) = ("regression", "single_label_classification");
        let (logits, probabilities) = (OutputForm::Logits, OutputForm::Probabilities);
        let (encoder, class) = ("BertModel", "BertForSequenceClassification");
        let (mean, pooler) = (Pooling::Mean, Pooling::Pooler);
        for (task, pooling, form, problem_type, by_id, architecture) in [
            (Task::Ordinal, mean, logits, one, &score, encoder),
            (Task::Ordinal, pooler, logits, one, &score, encoder),
            (Task::Ordinal, mean, probabilities, many, &classes, encoder),
            (Task::Classification, mean, logits, many, &classes, encoder),
            (Task::Classification, pooler, logits, many, &classes, class),
            (
                Task::Classification,
                pooler,
                probabilities,
                many,
                &classes,
                class,
            ),
            (Task::Regression, mean, logits, one, &score, encoder),
            (Task::Regression, pooler, logits, one, &score, class),
        ] {
            let labels = match task {
                Task::Regression => Vec::new(),
                _ => ["bad", "fair", "good"].map(str::to_owned).to_vec(),
            };
            let spec = TaskSpec {
                task,
                labels,
                pooling,
                link: Link::Logit,
                cutpoints: Cutpoints::Ordered,
                decision: Decision::Mode,
                targets: None,
                text_pairs: false,
                max_length: 8,
            };
            let config = base.with_task(&spec, form)?;
            assert_eq!(config.task()?.as_ref(), Some(&spec));
            let json = config.to_json();
            assert_eq!(
                json["architectures"],
                json!([architecture]),
                "{task:?} {pooling:?}"
            );
            assert_eq!(json["torch_dtype"], "float32");
            assert_eq!(json["problem_type"], problem_type, "{task:?} {form:?}");
            assert_eq!(json["id2label"], *by_id, "{task:?} {form:?}");
            assert_eq!(json["num_labels"], by_id.as_object().map_or(0, Map::len));
            for (id, label) in by_id.as_object().into_iter().flatten() {
                let found = &json["label2id"][label.as_str().unwrap_or_default()];
                assert_eq!(found.to_string(), *id);
            }
            let names = json["label2id"].as_object().map_or(0, Map::len);
            assert_eq!(json["num_labels"], names);
        }
        Ok(())
    }
}
