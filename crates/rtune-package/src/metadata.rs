use crate::{PackageError, sha256_file};
use rtune_task::{Link, OrdinalScale, Pooling, Task, TaskSpec};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// The file name of [`Metadata`] in a model folder.
pub const METADATA_FILE: &str = "metadata.json";

/// What a consumer of an ONNX folder needs beside the graph and the tokenizer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metadata {
    /// The rtune that wrote the folder.
    pub rtune_version: String,
    /// What the outputs mean.
    #[serde(flatten)]
    pub spec: TaskFields,
    /// Ascending cutpoints of an ordinal model.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cutpoints: Vec<f64>,
    /// SHA-256 of `tokenizer.json`.
    pub tokenizer_sha256: String,
    /// How the model was quantized, where it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantization: Option<QuantizationNote>,
}

/// [`TaskSpec`] as it stands in metadata, where the cutpoints themselves take the place of their
/// parametrization.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)] // As in TaskSpec.
pub struct TaskFields {
    pub task: Task,
    pub labels: Vec<String>,
    pub pooling: Pooling,
    pub link: Link,
    pub max_length: usize,
}

/// How a model was quantized.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuantizationNote {
    /// The range method of the activations.
    pub method: String,
    /// The number of calibration texts.
    pub samples: usize,
}

impl Metadata {
    /// Metadata of a model that `spec` describes.
    pub fn new(spec: &TaskSpec, cutpoints: Vec<f64>, tokenizer_sha256: String) -> Self {
        Self {
            rtune_version: env!("CARGO_PKG_VERSION").to_owned(),
            spec: TaskFields {
                task: spec.task,
                labels: spec.labels.clone(),
                pooling: spec.pooling,
                link: spec.link,
                max_length: spec.max_length,
            },
            cutpoints,
            tokenizer_sha256,
            quantization: None,
        }
    }

    /// The scale of an ordinal model.
    pub fn scale(&self) -> OrdinalScale {
        OrdinalScale::new(self.cutpoints.clone(), self.spec.link)
    }

    /// The metadata as properties of an ONNX file: one `rtune.` key for each field, its value in
    /// JSON.
    ///
    /// # Errors
    /// Never for values of this type; JSON itself is the reason for the signature.
    pub fn to_properties(&self) -> Result<BTreeMap<String, String>, PackageError> {
        let json = |source| PackageError::Json {
            path: METADATA_FILE.into(),
            source,
        };
        let value = serde_json::to_value(self).map_err(json)?;
        let fields = value.as_object().into_iter().flatten();
        Ok(fields
            .map(|(key, value)| (format!("rtune.{key}"), value.to_string()))
            .collect())
    }

    /// Reads a folder's metadata.
    ///
    /// # Errors
    /// Where the file is missing or is not metadata.
    pub fn read(folder: &Path) -> Result<Self, PackageError> {
        let path = folder.join(METADATA_FILE);
        let text = std::fs::read_to_string(&path).map_err(PackageError::io(&path))?;
        let metadata: Self = serde_json::from_str(&text).map_err(|source| PackageError::Json {
            path: path.clone(),
            source,
        })?;
        metadata.check(&path)?;
        Ok(metadata)
    }

    /// Whether the folder's tokenizer is the one that the model was trained with.
    ///
    /// # Errors
    /// Where it is another one, or cannot be read.
    pub fn check_tokenizer(&self, folder: &Path) -> Result<(), PackageError> {
        let path = folder.join("tokenizer.json");
        let found = sha256_file(&path)?;
        if found == self.tokenizer_sha256 {
            return Ok(());
        }
        let problem = format!(
            "sha256 is {found}, metadata.json says {}; this is not the model's tokenizer",
            self.tokenizer_sha256
        );
        Err(PackageError::Property {
            place: path.display().to_string(),
            problem,
        })
    }

    fn check(&self, path: &Path) -> Result<(), PackageError> {
        let expected = self.spec.labels.len().saturating_sub(1);
        let ascending = self.cutpoints.is_sorted_by(|a, b| a < b);
        if self.spec.task == Task::Ordinal && (self.cutpoints.len() != expected || !ascending) {
            let problem = format!(
                "{} labels need {expected} ascending cutpoints, found {:?}",
                self.spec.labels.len(),
                self.cutpoints
            );
            return Err(PackageError::Property {
                place: path.display().to_string(),
                problem,
            });
        }
        Ok(())
    }

    /// Writes the metadata into a folder.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn write(&self, folder: &Path) -> Result<(), PackageError> {
        let path = folder.join(METADATA_FILE);
        let text = serde_json::to_string_pretty(self).map_err(|source| PackageError::Json {
            path: path.clone(),
            source,
        })?;
        std::fs::write(&path, text + "\n").map_err(PackageError::io(path))
    }
}
