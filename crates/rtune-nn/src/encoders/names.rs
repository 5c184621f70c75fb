/// The names of the modules of one encoder block, relative to the block. The names of half of the
/// families are all that distinguishes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockNames {
    /// The query projection.
    pub query: &'static str,
    /// The key projection.
    pub key: &'static str,
    /// The value projection.
    pub value: &'static str,
    /// The projection of the heads' results.
    pub attention_output: &'static str,
    /// The normalization of attention.
    pub attention_norm: &'static str,
    /// The first layer of the feed-forward network.
    pub up: &'static str,
    /// The last layer of the feed-forward network.
    pub down: &'static str,
    /// The normalization of the feed-forward network.
    pub feed_forward_norm: &'static str,
}

impl BlockNames {
    /// BERT, RoBERTa, and the families that adopted their code.
    pub const BERT: Self = Self {
        query: "attention.self.query",
        key: "attention.self.key",
        value: "attention.self.value",
        attention_output: "attention.output.dense",
        attention_norm: "attention.output.LayerNorm",
        up: "intermediate.dense",
        down: "output.dense",
        feed_forward_norm: "output.LayerNorm",
    };

    /// DistilBERT.
    pub const DISTILBERT: Self = Self {
        query: "attention.q_lin",
        key: "attention.k_lin",
        value: "attention.v_lin",
        attention_output: "attention.out_lin",
        attention_norm: "sa_layer_norm",
        up: "ffn.lin1",
        down: "ffn.lin2",
        feed_forward_norm: "output_layer_norm",
    };
}
