use crate::Encoded;

/// Texts padded to the longest of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaddedBatch {
    /// The number of texts.
    pub batch: usize,
    /// The number of tokens of the longest.
    pub sequence: usize,
    /// `[batch · sequence]`, row by row.
    pub input_ids: Vec<u32>,
    /// `[batch · sequence]`: 1 for a token, 0 for padding.
    pub attention_mask: Vec<u8>,
    /// `[batch · sequence]`
    pub token_type_ids: Vec<u32>,
}

impl PaddedBatch {
    /// Pads texts with the id `padding`.
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

    /// The number of tokens that are no padding.
    pub fn tokens(&self) -> usize {
        self.attention_mask.iter().map(|m| usize::from(*m)).sum()
    }
}

/// Texts one after the other, without padding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackedBatch {
    /// `[tokens]`
    pub input_ids: Vec<u32>,
    /// `[tokens]`
    pub token_type_ids: Vec<u32>,
    /// `[batch + 1]`: where each text begins, and the number of tokens.
    pub offsets: Vec<u32>,
}

impl PackedBatch {
    /// Packs texts.
    pub fn new<'a>(texts: impl Iterator<Item = &'a Encoded>) -> Self {
        let mut batch = Self {
            input_ids: vec![],
            token_type_ids: vec![],
            offsets: vec![0],
        };
        for text in texts {
            batch.input_ids.extend(&text.input_ids);
            batch.token_type_ids.extend(&text.token_type_ids);
            batch
                .offsets
                .push(u32::try_from(batch.input_ids.len()).unwrap_or(u32::MAX));
        }
        batch
    }
}
