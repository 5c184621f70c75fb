use crate::encoders::{Block, Tables, TextEncoder};
use crate::{
    Embedding, Inputs, NnError, Norm, NormKind, ParamGroup, Parameters as _, Result, SequenceOps,
    Var, embedding, parameters,
};
use candle_nn::VarBuilder;
use rtune_task::TextSignature;

/// An encoder without a table of positions: its attention knows how far tokens are from each other.
/// ModernBERT and the other families of rotary positions, and those of ALiBi.
#[derive(Debug, Clone)]
pub struct RelativeEncoder {
    words: Embedding,
    token_types: Option<Embedding>,
    norm: Option<Norm>,
    layers: Vec<Block>,
    final_norm: Option<Norm>,
    tables: Tables,
    width: usize,
    max_length: usize,
    dropout: f64,
    head_dropout: f64,
}

parameters!(RelativeEncoder: words, token_types, norm, layers, final_norm);

/// The sizes and rates of an encoder, apart from its blocks.
pub(super) struct RelativeConfig {
    pub(super) vocabulary: usize,
    /// 0 for an encoder without a table of token types.
    pub(super) token_types: usize,
    pub(super) width: usize,
    pub(super) layers: usize,
    pub(super) norm: NormKind,
    pub(super) epsilon: f64,
    pub(super) max_length: usize,
    /// The dropout rate of the embeddings.
    pub(super) dropout: f64,
    pub(super) head_dropout: f64,
}

/// The names of an encoder's modules; `None` for those that it does not have.
pub(super) struct RelativeNames {
    pub(super) words: &'static str,
    pub(super) token_types: &'static str,
    pub(super) norm: Option<&'static str>,
    pub(super) layers: &'static str,
    pub(super) final_norm: Option<&'static str>,
}

impl RelativeNames {
    /// BERT's names.
    pub(super) const BERT: Self = Self {
        words: "embeddings.word_embeddings",
        token_types: "embeddings.token_type_embeddings",
        norm: Some("embeddings.LayerNorm"),
        layers: "encoder.layer",
        final_norm: None,
    };
}

impl RelativeEncoder {
    /// The encoder over the parameters at the path of `vb`; `block` loads the block with the given
    /// number at the given path.
    pub(super) fn load(
        config: &RelativeConfig,
        names: &RelativeNames,
        vb: &VarBuilder<'_>,
        block: impl Fn(usize, &VarBuilder<'_>) -> Result<Block>,
    ) -> Result<Self> {
        let width = config.width;
        let table = |rows, name| {
            let table = embedding(rows, width, vb.pp(name))?;
            Ok::<_, NnError>(table.with_group(ParamGroup::Embeddings))
        };
        let norm = |name: Option<&'static str>, group| {
            let norm = name.map(|name| config.norm.load(width, config.epsilon, vb.pp(name)));
            Ok::<_, NnError>(norm.transpose()?.map(|norm| norm.with_group(group)))
        };
        let layer = |index| {
            let block = block(index, &vb.pp(names.layers).pp(index))?;
            Ok(block.with_group(ParamGroup::Layer(index)))
        };
        let top = ParamGroup::Layer(config.layers);
        let types = config.token_types;
        // The fields stand in the order in which missing parameters are reported.
        Ok(Self {
            words: table(config.vocabulary, names.words)?,
            token_types: (types > 0)
                .then(|| table(types, names.token_types))
                .transpose()?,
            norm: norm(names.norm, ParamGroup::Embeddings)?,
            layers: (0..config.layers).map(layer).collect::<Result<_>>()?,
            final_norm: norm(names.final_norm, top)?,
            tables: Tables {
                tokens: config.vocabulary,
                token_types: (types > 1).then_some(types),
                padding: None,
            },
            width,
            max_length: config.max_length,
            dropout: config.dropout,
            head_dropout: config.head_dropout,
        })
    }

    /// The sum of the word and token type embeddings, normalized.
    fn embeddings<'a, O: SequenceOps>(&self, inputs: &Inputs<'a, O>) -> Result<Var<'a, O>> {
        let _scope = inputs.ops().scope("embeddings");
        let mut sum = self.words.forward(&inputs.input_ids)?;
        if let Some(table) = &self.token_types {
            let types = match &inputs.token_type_ids {
                Some(ids) if self.tables.token_types.is_some() => table.forward(ids)?,
                // Without token types, all tokens are of type 0.
                _ => table.row(inputs.ops(), 0)?,
            };
            sum = (sum + types)?;
        }
        let normal = match &self.norm {
            Some(norm) => norm.forward(&sum)?,
            None => sum,
        };
        normal.dropout(self.dropout)
    }
}

impl TextEncoder for RelativeEncoder {
    fn width(&self) -> usize {
        self.width
    }

    fn max_length(&self) -> usize {
        self.max_length
    }

    fn tables(&self) -> Tables {
        self.tables
    }

    fn head_dropout(&self) -> f64 {
        self.head_dropout
    }

    fn signature(&self) -> TextSignature {
        TextSignature::with_token_types(self.tables.token_types.is_some())
    }

    fn forward<'a, O: SequenceOps>(&self, inputs: &Inputs<'a, O>) -> Result<Var<'a, O>> {
        let mut hidden = self.embeddings(inputs)?;
        for layer in &self.layers {
            hidden = layer.forward(&hidden, inputs.sequences)?;
        }
        match &self.final_norm {
            Some(norm) => norm.forward(&hidden),
            None => Ok(hidden),
        }
    }
}
