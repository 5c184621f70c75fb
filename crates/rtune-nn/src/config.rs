use crate::{NnError, Result};
use rtune_task::TaskSpec;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use std::path::Path;

/// A model's `config.json`. Fields that rtune does not read are kept and written back.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelConfig {
    fields: Map<String, Value>,
}

impl ModelConfig {
    /// Reads `config.json` of a model folder.
    ///
    /// # Errors
    /// If the file is missing, is not a JSON object, or has no `model_type`.
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
        if !fields.get("model_type").is_some_and(Value::is_string) {
            return Err(problem("names no model_type".to_owned()));
        }
        Ok(Self { fields })
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

    /// rtune's own section, or `None` if the model was not fine-tuned with rtune.
    ///
    /// # Errors
    /// If the section is not valid.
    pub fn task(&self) -> Result<Option<TaskSpec>> {
        let Some(section) = self.fields.get("rtune") else {
            return Ok(None);
        };
        let invalid = |e: &dyn std::fmt::Display| {
            NnError::config("section `rtune` of config.json", e.to_string())
        };
        let spec: TaskSpec = serde_json::from_value(section.clone()).map_err(|e| invalid(&e))?;
        spec.check().map_err(|e| invalid(&e))?;
        Ok(Some(spec))
    }

    /// The config with rtune's section, and with the labels in Hugging Face's fields.
    ///
    /// # Errors
    /// Serialization cannot fail for this type; the error type comes from serde_json.
    pub fn with_task(&self, spec: &TaskSpec) -> Result<Self> {
        let mut fields = self.fields.clone();
        let section = serde_json::to_value(spec)
            .map_err(|e| NnError::config("section `rtune`", e.to_string()))?;
        fields.insert("rtune".to_owned(), section);
        if !spec.labels.is_empty() {
            let by_id: Map<String, Value> = spec
                .labels
                .iter()
                .enumerate()
                .map(|(i, l)| (i.to_string(), json!(l)))
                .collect();
            let by_label: Map<String, Value> = spec
                .labels
                .iter()
                .enumerate()
                .map(|(i, l)| (l.clone(), json!(i)))
                .collect();
            fields.insert("id2label".to_owned(), Value::Object(by_id));
            fields.insert("label2id".to_owned(), Value::Object(by_label));
        }
        Ok(Self { fields })
    }

    /// The settings of one encoder family.
    pub(crate) fn parse<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_value(self.to_json())
            .map_err(|e| NnError::config("config.json", e.to_string()))
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
