/// One text as token ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// Token ids, special tokens included.
    pub input_ids: Vec<u32>,
    /// Segment ids, one for each token.
    pub token_type_ids: Vec<u32>,
    /// True if the text was longer than the limit and its end is missing.
    pub truncated: bool,
}

impl Encoded {
    /// Creates a text of one segment from its ids.
    pub fn new(input_ids: Vec<u32>) -> Self {
        Self {
            token_type_ids: vec![0; input_ids.len()],
            input_ids,
            truncated: false,
        }
    }

    /// Returns the number of tokens.
    pub fn len(&self) -> usize {
        self.input_ids.len()
    }

    /// Returns true if there is no token.
    pub fn is_empty(&self) -> bool {
        self.input_ids.is_empty()
    }
}
