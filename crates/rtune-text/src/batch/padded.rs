use crate::Encoded;

/// Texts padded to the longest of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaddedBatch {
    /// Number of texts.
    pub batch: usize,
    /// Number of tokens of the longest text.
    pub sequence: usize,
    /// Token ids `[batch · sequence]`, row by row.
    pub input_ids: Vec<u32>,
    /// `[batch · sequence]`: 1 for a token, 0 for padding.
    pub attention_mask: Vec<u8>,
    /// Segment ids `[batch · sequence]`, 0 for padding.
    pub token_type_ids: Vec<u32>,
}

impl PaddedBatch {
    /// Pads texts with the id `padding`. Without texts, the batch is empty.
    pub fn new<'a>(texts: impl Iterator<Item = &'a Encoded> + Clone, padding: u32) -> Self {
        let sequence = texts.clone().map(Encoded::len).max().unwrap_or(0);
        let mut batch = Self {
            batch: 0,
            sequence,
            input_ids: vec![],
            attention_mask: vec![],
            token_type_ids: vec![],
        };
        for text in texts {
            batch.batch += 1;
            let end = batch.batch * sequence;
            batch.input_ids.extend(&text.input_ids);
            batch.input_ids.resize(end, padding);
            batch.token_type_ids.extend(&text.token_type_ids);
            batch.token_type_ids.resize(end, 0);
            batch.attention_mask.resize(end - sequence + text.len(), 1);
            batch.attention_mask.resize(end, 0);
        }
        batch
    }

    /// Returns the number of tokens without padding.
    pub fn tokens(&self) -> usize {
        self.attention_mask.iter().map(|m| usize::from(*m)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts() -> [Encoded; 3] {
        [
            Encoded::new(vec![2, 7, 3]),
            Encoded {
                input_ids: vec![2, 8, 3, 9, 3],
                token_type_ids: vec![0, 0, 0, 1, 1],
                truncated: true,
            },
            Encoded::new(vec![2]),
        ]
    }

    #[test]
    fn short_rows_are_filled_with_the_padding_id() {
        let batch = PaddedBatch::new(texts().iter(), 6);
        assert_eq!((batch.batch, batch.sequence), (3, 5));
        assert_eq!(
            batch.input_ids,
            [2, 7, 3, 6, 6, 2, 8, 3, 9, 3, 2, 6, 6, 6, 6]
        );
    }

    #[test]
    fn the_mask_marks_tokens_and_not_ids_that_equal_padding() {
        let batch = PaddedBatch::new([Encoded::new(vec![0, 0]), Encoded::new(vec![0])].iter(), 0);
        assert_eq!(batch.attention_mask, [1, 1, 1, 0]);
        assert_eq!(batch.tokens(), 3);
    }

    #[test]
    fn segments_are_kept_and_padding_has_segment_zero() {
        let batch = PaddedBatch::new(texts().iter(), 6);
        assert_eq!(
            batch.token_type_ids,
            [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0]
        );
    }

    #[test]
    fn no_texts_are_an_empty_batch() {
        let batch = PaddedBatch::new([].iter(), 6);
        assert_eq!((batch.batch, batch.sequence, batch.tokens()), (0, 0, 0));
        assert!(batch.input_ids.is_empty());
    }
}
