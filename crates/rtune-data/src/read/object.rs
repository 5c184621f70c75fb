//! A JSON object as a row.

use crate::{Column, DataProblem, LabelProblem};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

/// The fields of an object in the order of the file. A name may occur twice, which a map would
/// hide.
pub(super) struct Object(Vec<(String, Value)>);

impl Object {
    /// Parses an object. An error has the number of line breaks before the fault.
    pub(super) fn parse(text: &str) -> Result<Self, (u64, DataProblem)> {
        serde_json::from_str(text).map_err(|error: serde_json::Error| {
            if error.is_data() {
                return (0, DataProblem::NotObject);
            }
            // The parser's message without its place, which counts from the start of the value.
            let text = error.to_string();
            let reason = text.split(" at line ").next().unwrap_or(&text);
            let problem = DataProblem::Json {
                column: error.column(),
                reason: reason.to_owned(),
            };
            ((error.line() as u64).saturating_sub(1), problem)
        })
    }

    fn field(&self, column: Column, name: &str) -> Result<&Value, DataProblem> {
        let mut found = self.0.iter().filter(|(field, _)| field == name);
        let name = name.to_owned();
        match (found.next(), found.next()) {
            (Some((_, value)), None) => Ok(value),
            (Some(_), Some(_)) => Err(DataProblem::FieldTwice { name }),
            (None, _) => Err(DataProblem::NoField { column, name }),
        }
    }

    /// Returns the text of a column of texts.
    pub(super) fn text(&self, column: Column, name: &str) -> Result<String, DataProblem> {
        match self.field(column, name)? {
            Value::String(text) => Ok(text.clone()),
            other => Err(DataProblem::NotString { found: kind(other) }),
        }
    }

    /// Returns a label, which may be a string, a number or a boolean.
    pub(super) fn label(&self, name: &str) -> Result<String, DataProblem> {
        match self.field(Column::Label, name)? {
            Value::String(label) => Ok(label.clone()),
            Value::Null => Err(LabelProblem::Missing.into()),
            value @ (Value::Bool(_) | Value::Number(_)) => Ok(value.to_string()),
            other => Err(DataProblem::NotScalar { found: kind(other) }),
        }
    }

    /// Returns any other field: a string as it is, else its JSON.
    pub(super) fn other(&self, name: &str) -> Result<String, DataProblem> {
        Ok(match self.field(Column::Other, name)? {
            Value::String(text) => text.clone(),
            Value::Null => String::new(),
            other => other.to_string(),
        })
    }
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;

        impl<'de> Visitor<'de> for Fields {
            type Value = Object;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Object(fields))
            }
        }

        deserializer.deserialize_map(Fields)
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_say_what_is_there() {
        let message = |text: &str| {
            let object = Object::parse(text).map_err(|(_, problem)| problem);
            let read = object.and_then(|object| {
                Ok((object.text(Column::Text, "text")?, object.label("label")?))
            });
            read.unwrap_err().to_string()
        };
        for (text, expected) in [
            (
                "[1]",
                "not an object; a row is an object with a field for each column",
            ),
            ("{\"text\": \"a\"}", "no field `label`"),
            (
                "{\"text\": 1, \"label\": 0}",
                "the text is a number, not a string",
            ),
            (
                "{\"text\": null, \"label\": 0}",
                "the text is null, not a string",
            ),
            (
                "{\"text\": {\"0\": \"a\"}, \"label\": {\"0\": 0}}",
                "the text is an object, not a string; write an object for each row",
            ),
            (
                "{\"text\": \"a\", \"text\": \"b\"}",
                "two fields `text`; rename or remove one",
            ),
            ("{\"text\": \"a\", \"label\": null}", "the label is missing"),
            (
                "{\"text\": \"a\", \"label\": [0]}",
                "the label is an array, not a single value",
            ),
        ] {
            assert_eq!(message(text), expected);
        }
    }
}
