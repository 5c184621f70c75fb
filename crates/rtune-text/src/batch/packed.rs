use crate::{Encoded, TextError};

/// Texts one after the other, without padding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackedBatch {
    /// Token ids `[tokens]`.
    pub input_ids: Vec<u32>,
    /// Segment ids `[tokens]`.
    pub token_type_ids: Vec<u32>,
    /// `[batch + 1]`: the index of each text's first token, and the number of tokens.
    pub offsets: Vec<u32>,
}

impl PackedBatch {
    /// Packs texts.
    ///
    /// # Errors
    /// If the batch has more tokens than a `u32` can count.
    pub fn new<'a>(texts: impl Iterator<Item = &'a Encoded>) -> Result<Self, TextError> {
        let mut batch = Self {
            input_ids: vec![],
            token_type_ids: vec![],
            offsets: vec![0],
        };
        for text in texts {
            batch.input_ids.extend(&text.input_ids);
            batch.token_type_ids.extend(&text.token_type_ids);
            batch.offsets.push(offset(batch.input_ids.len())?);
        }
        Ok(batch)
    }
}

fn offset(tokens: usize) -> Result<u32, TextError> {
    u32::try_from(tokens).map_err(|_| TextError::BatchTooLarge { tokens })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_cut_the_tokens_back_into_texts() {
        let texts = [vec![2, 7, 3], vec![], vec![2, 3]].map(Encoded::new);
        let batch = PackedBatch::new(texts.iter()).unwrap();
        assert_eq!(batch.offsets, [0, 3, 3, 5]);
        for (text, ends) in texts.iter().zip(batch.offsets.windows(2)) {
            let range = ends[0] as usize..ends[1] as usize;
            assert_eq!(batch.input_ids[range], text.input_ids);
        }
    }

    #[test]
    fn segments_lie_as_the_tokens_do() {
        let pair = Encoded {
            input_ids: vec![2, 3, 9, 3],
            token_type_ids: vec![0, 0, 1, 1],
            truncated: false,
        };
        let batch = PackedBatch::new([Encoded::new(vec![2]), pair].iter()).unwrap();
        assert_eq!(batch.token_type_ids, [0, 0, 0, 1, 1]);
    }

    #[test]
    fn no_texts_have_one_offset() {
        assert_eq!(PackedBatch::new([].iter()).unwrap().offsets, [0]);
    }

    #[cfg(target_pointer_width = "64")]
    #[test]
    fn too_many_tokens_are_an_error() {
        assert_eq!(offset(u32::MAX as usize).unwrap(), u32::MAX);
        let error = offset(u32::MAX as usize + 1).unwrap_err();
        assert_eq!(
            error.to_string(),
            "a batch of 4294967296 tokens is too large; use a smaller batch size"
        );
    }
}
