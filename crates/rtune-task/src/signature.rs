use crate::TaskError;
use serde::{Deserialize, Serialize};

/// An input of a text model, `[batch, sequence]` of integers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TextInput {
    /// The numbers of the tokens in the vocabulary.
    InputIds,
    /// 1 for a token, 0 for padding.
    AttentionMask,
    /// The segment of each token: 0 for the first text, 1 for the second of a pair.
    TokenTypeIds,
}

impl TextInput {
    /// All inputs, in the order of BERT.
    pub const ALL: [Self; 3] = [Self::InputIds, Self::AttentionMask, Self::TokenTypeIds];

    /// The name of the input in files and graphs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::InputIds => "input_ids",
            Self::AttentionMask => "attention_mask",
            Self::TokenTypeIds => "token_type_ids",
        }
    }
}

/// The inputs that a text model takes, in order. Without [`TextInput::AttentionMask`] a model sees
/// no difference between tokens and padding.
///
/// ```
/// use rtune_task::{TextInput, TextSignature};
///
/// let signature = TextSignature::of_names(["input_ids", "attention_mask"])?;
/// assert!(!signature.takes(TextInput::TokenTypeIds));
/// assert_eq!(TextSignature::default().to_string(), "input_ids, attention_mask, token_type_ids");
/// # Ok::<(), rtune_task::TaskError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<TextInput>")]
pub struct TextSignature(Vec<TextInput>);

impl TextSignature {
    /// The signature of these inputs.
    ///
    /// # Errors
    /// If an input is given twice, or token ids are missing.
    pub fn new(inputs: impl IntoIterator<Item = TextInput>) -> Result<Self, TaskError> {
        let inputs: Vec<TextInput> = inputs.into_iter().collect();
        let fail = |problem: String| {
            Err(TaskError {
                place: "inputs".to_owned(),
                problem,
            })
        };
        for (index, input) in inputs.iter().enumerate() {
            if inputs[..index].contains(input) {
                return fail(format!("`{}` stands twice", input.name()));
            }
        }
        if !inputs.contains(&TextInput::InputIds) {
            return fail(format!("`{}` is missing", TextInput::InputIds.name()));
        }
        Ok(Self(inputs))
    }

    /// The signature of a graph whose inputs have these names.
    ///
    /// # Errors
    /// If a name is not that of an input of text models, or as for [`TextSignature::new`].
    pub fn of_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, TaskError> {
        let inputs = names.into_iter().map(|name| {
            let known = TextInput::ALL
                .into_iter()
                .find(|input| input.name() == name);
            known.ok_or_else(|| TaskError {
                place: "inputs".to_owned(),
                problem: format!("`{name}` is not known; known are {}", Self::default()),
            })
        });
        Self::new(inputs.collect::<Result<Vec<_>, _>>()?)
    }

    /// The signature of a model with or without token types.
    pub fn with_token_types(takes_token_types: bool) -> Self {
        let count = if takes_token_types { 3 } else { 2 };
        Self(TextInput::ALL[..count].to_vec())
    }

    /// The inputs in order.
    pub fn inputs(&self) -> &[TextInput] {
        &self.0
    }

    /// True if the model takes this input.
    pub fn takes(&self, input: TextInput) -> bool {
        self.0.contains(&input)
    }
}

/// All inputs: the signature of BERT, and of model folders that do not state one.
impl Default for TextSignature {
    fn default() -> Self {
        Self(TextInput::ALL.to_vec())
    }
}

impl TryFrom<Vec<TextInput>> for TextSignature {
    type Error = TaskError;

    fn try_from(inputs: Vec<TextInput>) -> Result<Self, TaskError> {
        Self::new(inputs)
    }
}

impl std::fmt::Display for TextSignature {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = self.0.iter().map(|input| input.name()).collect();
        f.write_str(&names.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_a_signature_or_an_error() {
        let cases: [(&[&str], Result<&str, &str>); 6] = [
            (
                &["input_ids", "attention_mask", "token_type_ids"],
                Ok("input_ids, attention_mask, token_type_ids"),
            ),
            (
                &["attention_mask", "input_ids"],
                Ok("attention_mask, input_ids"),
            ),
            (&["input_ids"], Ok("input_ids")),
            (&["attention_mask"], Err("inputs: `input_ids` is missing")),
            (
                &["input_ids", "input_ids"],
                Err("inputs: `input_ids` stands twice"),
            ),
            (
                &["input_ids", "pixel_values"],
                Err(
                    "inputs: `pixel_values` is not known; known are input_ids, attention_mask, \
                     token_type_ids",
                ),
            ),
        ];
        for (names, expected) in cases {
            let found = TextSignature::of_names(names.iter().copied());
            let found = found.map(|s| s.to_string()).map_err(|e| e.to_string());
            assert_eq!(
                found,
                expected.map(str::to_owned).map_err(str::to_owned),
                "{names:?}"
            );
        }
    }

    #[test]
    fn token_types_are_the_difference_between_bert_and_roberta() {
        assert_eq!(
            TextSignature::with_token_types(true),
            TextSignature::default()
        );
        let without = TextSignature::with_token_types(false);
        assert_eq!(without.to_string(), "input_ids, attention_mask");
        assert!(without.takes(TextInput::AttentionMask));
        assert!(!without.takes(TextInput::TokenTypeIds));
    }
}
