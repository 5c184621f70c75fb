//! The fields of metadata that a prediction follows from.

use crate::{Metadata, PackageError, layout};
use serde_json::Value;
use std::collections::BTreeMap;

/// The fields that decide how a model's outputs become predictions, with their JSON. Two models
/// with the same outputs give the same predictions if these agree.
#[derive(Debug, Clone, PartialEq)]
pub struct Meaning(BTreeMap<&'static str, Value>);

const FIELDS: [&str; 10] = [
    "cutpoints",
    "decision",
    "labels",
    "link",
    "max_length",
    "pooling",
    "targets",
    "task",
    "text_pairs",
    "tokenizer_sha256",
];

impl Meaning {
    /// Returns the fields of metadata.
    ///
    /// # Errors
    /// If serialization fails, which it cannot for this type; the error type is serde_json's.
    pub fn of_metadata(metadata: &Metadata) -> Result<Self, PackageError> {
        let value = serde_json::to_value(metadata).map_err(|source| PackageError::Json {
            path: layout::METADATA.into(),
            source,
        })?;
        let fields = FIELDS.map(|field| (field, value.get(field).cloned().unwrap_or_default()));
        Ok(Self(fields.into()))
    }

    /// Returns the fields that the properties of an ONNX file state, as
    /// [`Metadata::to_properties`] writes them. Values that are no JSON are left out.
    pub fn of_properties(properties: &BTreeMap<String, String>) -> Self {
        let stated = FIELDS.into_iter().filter_map(|field| {
            let text = properties.get(&format!("rtune.{field}"))?;
            Some((field, serde_json::from_str(text).ok()?))
        });
        Self(stated.collect())
    }

    /// Leaves out the digest of the tokenizer, which is not known.
    #[must_use]
    pub fn without_tokenizer(mut self) -> Self {
        self.0.remove("tokenizer_sha256");
        self
    }

    /// Returns true if no field is stated.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the fields that both state and that differ: the name, and both values.
    ///
    /// ```
    /// use rtune_package::Meaning;
    ///
    /// let of = |link: &str| {
    ///     let property = ("rtune.link".to_owned(), format!("\"{link}\""));
    ///     Meaning::of_properties(&[property].into())
    /// };
    /// let found = of("logit").differences(&of("probit"));
    /// assert_eq!(found, [("link", "\"logit\"".to_owned(), "\"probit\"".to_owned())]);
    /// ```
    pub fn differences(&self, other: &Self) -> Vec<(&'static str, String, String)> {
        let pairs = self.0.iter().filter_map(|(field, value)| {
            let found = other.0.get(field).filter(|found| *found != value)?;
            Some((*field, value.to_string(), found.to_string()))
        });
        pairs.collect()
    }
}
