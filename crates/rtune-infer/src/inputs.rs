use crate::InferError;
use rtune_runtime::{Feed, NamedTensor, Session};
use rtune_task::{TextInput, TextSignature};
use rtune_text::PaddedBatch;
use std::path::Path;

/// A padded batch as the 64-bit integers that text models read.
///
/// ```
/// use rtune_infer::TextTensors;
/// use rtune_task::{TextInput, TextSignature};
/// use rtune_text::{Encoded, PaddedBatch};
///
/// let texts = [Encoded::new(vec![5, 6]), Encoded::new(vec![7])];
/// let tensors = TextTensors::new(&PaddedBatch::new(texts.iter(), 9));
/// assert_eq!(tensors.dims(), [2, 2]);
/// assert_eq!(tensors.values(TextInput::InputIds), [5, 6, 7, 9]);
/// let feeds = tensors.feeds(&TextSignature::with_token_types(false));
/// assert_eq!(feeds.len(), 2);
/// ```
#[derive(Debug, Clone)]
pub struct TextTensors {
    dims: [usize; 2],
    input_ids: Vec<i64>,
    attention_mask: Vec<i64>,
    token_type_ids: Vec<i64>,
}

impl TextTensors {
    /// Creates the tensors of a batch.
    ///
    /// # Shapes
    /// each tensor `[batch, sequence]`
    pub fn new(batch: &PaddedBatch) -> Self {
        let wide = |values: &[u32]| values.iter().map(|value| i64::from(*value)).collect();
        Self {
            dims: [batch.batch, batch.sequence],
            input_ids: wide(&batch.input_ids),
            attention_mask: batch.attention_mask.iter().map(|m| i64::from(*m)).collect(),
            token_type_ids: wide(&batch.token_type_ids),
        }
    }

    /// Returns batch and sequence.
    pub fn dims(&self) -> [usize; 2] {
        self.dims
    }

    /// Returns the elements of an input.
    pub fn values(&self, input: TextInput) -> &[i64] {
        match input {
            TextInput::InputIds => &self.input_ids,
            TextInput::AttentionMask => &self.attention_mask,
            TextInput::TokenTypeIds => &self.token_type_ids,
        }
    }

    /// Returns the inputs that a model takes, in its order.
    pub fn feeds(&self, signature: &TextSignature) -> Vec<Feed<'_>> {
        let inputs = signature.inputs().iter();
        inputs
            .map(|input| Feed::i64(input.name(), &self.dims, self.values(*input)))
            .collect()
    }

    /// Returns inputs as tensors that own their elements.
    pub fn tensors(&self, inputs: &[TextInput]) -> Vec<NamedTensor> {
        let tensor = |input: &TextInput| {
            NamedTensor::i64(input.name(), &self.dims, self.values(*input).to_vec())
        };
        inputs.iter().map(tensor).collect()
    }
}

/// Returns the inputs of a text model's session.
///
/// # Errors
/// If it has an input that text models do not have, or no `input_ids`.
pub fn text_signature(session: &Session, file: &Path) -> Result<TextSignature, InferError> {
    let fail = |problem: String| InferError::Foreign {
        file: file.to_owned(),
        problem,
    };
    let inputs = session.inputs();
    let names = || inputs.iter().map(|input| input.name.as_str());
    let signature = TextSignature::of_names(names()).map_err(|error| {
        let is_known = |name: &str| TextInput::ALL.iter().any(|input| input.name() == name);
        match names().find(|name| !is_known(name)) {
            Some(name) => fail(format!(
                "it has an input `{name}`; expected {}",
                TextSignature::default()
            )),
            None => fail(error.to_string()),
        }
    })?;
    Ok(signature)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rtune_text::Encoded;

    #[test]
    fn batches_become_tensors_of_the_inputs_that_a_model_takes() {
        let texts = [Encoded::new(vec![5, 6]), Encoded::new(vec![7])];
        let tensors = TextTensors::new(&PaddedBatch::new(texts.iter(), 9));
        let expected: [(TextInput, &[i64]); 3] = [
            (TextInput::InputIds, &[5, 6, 7, 9]),
            (TextInput::AttentionMask, &[1, 1, 1, 0]),
            (TextInput::TokenTypeIds, &[0, 0, 0, 0]),
        ];
        for (tensor, (input, values)) in tensors.tensors(&TextInput::ALL).iter().zip(expected) {
            assert_eq!(tensor.name, input.name());
            assert_eq!(tensor.dims, [2, 2]);
            assert_eq!(tensor.as_i64(), Some(values));
        }
        for (names, count) in [
            (&["attention_mask", "input_ids"][..], 2),
            (&["input_ids"], 1),
        ] {
            let signature = TextSignature::of_names(names.iter().copied()).unwrap();
            let feeds = tensors.feeds(&signature);
            let found: Vec<_> = feeds.iter().map(Feed::name).collect();
            assert_eq!((found.len(), &found[..]), (count, names));
        }
    }
}
