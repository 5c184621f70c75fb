use crate::encoders::{Block, Tables, TextEncoder};
use crate::{
    Attention, Embedding, Inputs, LayerNorm, Linear, NnError, ParamGroup, Parameters as _,
    PositionBias, Positions, Result, SequenceOps, Var, embedding, layer_norm, linear, parameters,
};
use candle_nn::VarBuilder;
use rtune_task::TextSignature;

/// An encoder with a table of positions: BERT, and the families that changed embeddings,
/// normalizations or the sharing of layers.
#[derive(Debug, Clone)]
pub struct AbsoluteEncoder {
    words: Embedding,
    positions: Embedding,
    token_types: Option<Embedding>,
    task_types: Option<Embedding>,
    norm: Option<LayerNorm>,
    projection: Option<Linear>,
    layers: Vec<Block>,
    distances: Option<Embedding>,
    final_norm: Option<LayerNorm>,
    /// The layers in the order of their use, in which shared ones occur more than once.
    sequence: Vec<usize>,
    position_rule: Positions,
    tables: Tables,
    width: usize,
    max_length: usize,
    dropout: f64,
    head_dropout: f64,
}

parameters!(
    AbsoluteEncoder: words, positions, token_types, task_types, norm, projection, layers,
    distances, final_norm
);

/// The sizes and rates of an encoder, apart from its blocks.
#[derive(Debug, Clone)]
pub(super) struct AbsoluteConfig {
    pub(super) vocabulary: usize,
    /// The number of rows of the table of positions.
    pub(super) positions: usize,
    pub(super) position_rule: Positions,
    /// 0 for an encoder without a table of token types.
    pub(super) token_types: usize,
    /// The number of rows of the table of task types; 0 for an encoder without one.
    pub(super) task_types: usize,
    /// The width of the embeddings.
    pub(super) embedding_width: usize,
    pub(super) width: usize,
    /// The layers in the order of their use: numbers of those that the checkpoint has.
    pub(super) sequence: Vec<usize>,
    /// The heads of attention, for the table of biases by distance.
    pub(super) heads: usize,
    pub(super) epsilon: f64,
    pub(super) max_length: usize,
    /// The dropout rate of the embeddings.
    pub(super) dropout: f64,
    pub(super) head_dropout: f64,
}

/// The names of an encoder's modules, where families differ; `None` for those that it does not
/// have.
#[derive(Debug, Clone, Copy)]
pub(super) struct AbsoluteNames {
    pub(super) norm: Option<&'static str>,
    /// The layer between embeddings and blocks.
    pub(super) projection: Option<&'static str>,
    /// The table of attention biases, one row for each bucket of distances.
    pub(super) distances: Option<&'static str>,
    pub(super) final_norm: Option<&'static str>,
}

impl AbsoluteNames {
    /// BERT's names.
    pub(super) const BERT: Self = Self {
        norm: Some("embeddings.LayerNorm"),
        projection: None,
        distances: None,
        final_norm: None,
    };
}

/// The number of buckets of distances, which the reference fixes.
pub(super) const BUCKETS: usize = 32;
/// The distance from which on all share a bucket.
const MAX_DISTANCE: usize = 128;

impl AbsoluteEncoder {
    /// The encoder over the parameters at the path of `vb`; `block` loads the layer with the given
    /// number.
    pub(super) fn load(
        config: &AbsoluteConfig,
        names: &AbsoluteNames,
        vb: &VarBuilder<'_>,
        block: impl Fn(usize) -> Result<Block>,
    ) -> Result<Self> {
        let (narrow, width) = (config.embedding_width, config.width);
        let stored = config.sequence.iter().max().map_or(0, |last| last + 1);
        let top = ParamGroup::Layer(stored);
        let group = ParamGroup::Embeddings;
        let table = |rows, name: &str| {
            let table = embedding(rows, narrow, vb.pp("embeddings").pp(name))?;
            Ok::<_, NnError>(table.with_group(group))
        };
        let optional = |rows, name| (rows > 0).then(|| table(rows, name)).transpose();
        let norm = |name: Option<&str>, width, group| {
            let norm = name.map(|name| layer_norm(width, config.epsilon, vb.pp(name)));
            Ok::<_, NnError>(norm.transpose()?.map(|norm| norm.with_group(group)))
        };
        let layer = |name: Option<&str>, from, group| {
            let layer = name.map(|name| linear(from, width, vb.pp(name)));
            Ok::<_, NnError>(layer.transpose()?.map(|layer| layer.with_group(group)))
        };
        let blocks = (0..stored).map(|n| Ok(block(n)?.with_group(ParamGroup::Layer(n))));
        let distances = || {
            let table = |name| embedding(BUCKETS, config.heads, vb.pp(name));
            let table = names.distances.map(table).transpose()?;
            Ok::<_, NnError>(table.map(|table| table.with_group(group)))
        };
        // The fields stand in the order in which missing parameters are reported.
        Ok(Self {
            words: table(config.vocabulary, "word_embeddings")?,
            positions: table(config.positions, "position_embeddings")?,
            token_types: optional(config.token_types, "token_type_embeddings")?,
            task_types: optional(config.task_types, "task_type_embeddings")?,
            norm: norm(names.norm, narrow, group)?,
            projection: layer(names.projection, narrow, group)?,
            layers: blocks.collect::<Result<_>>()?,
            distances: distances()?,
            final_norm: norm(names.final_norm, width, top)?,
            sequence: config.sequence.clone(),
            position_rule: config.position_rule,
            tables: Tables {
                tokens: config.vocabulary,
                token_types: (config.token_types > 1).then_some(config.token_types),
                padding: match config.position_rule {
                    Positions::FromZero => None,
                    Positions::AfterPadding(padding) => Some(padding),
                },
            },
            width,
            max_length: config.max_length,
            dropout: config.dropout,
            head_dropout: config.head_dropout,
        })
    }

    /// The sum of the embeddings, normalized, in the width of the layers.
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
        let positions = inputs.position_ids(self.position_rule)?;
        sum = (sum + self.positions.forward(&positions)?)?;
        if let Some(table) = &self.task_types {
            // All texts are of task 0, as the reference takes them without task types.
            sum = (sum + table.row(inputs.ops(), 0)?)?;
        }
        if let Some(norm) = &self.norm {
            sum = norm.forward(&sum)?;
        }
        let sum = sum.dropout(self.dropout)?;
        match &self.projection {
            Some(projection) => projection.forward(&sum),
            None => Ok(sum),
        }
    }

    /// Applies a layer, with the bias of distances if there is one.
    fn layer<'a, O: SequenceOps>(
        &self,
        layer: &Block,
        hidden: &Var<'a, O>,
        sequences: &O::Sequences,
    ) -> Result<Var<'a, O>> {
        let Some(distances) = &self.distances else {
            return layer.forward(hidden, sequences);
        };
        layer.forward_with(hidden, |attention, xs| {
            let [query, key, value] = attention.project_in(xs, sequences)?;
            let constants = Attention {
                bias: Some(PositionBias::Buckets {
                    table: distances.table().clone(),
                    buckets: BUCKETS,
                    max_distance: MAX_DISTANCE,
                }),
                ..attention.constants().clone()
            };
            query.attention(&key, &value, &constants, sequences)
        })
    }
}

impl TextEncoder for AbsoluteEncoder {
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
        for index in &self.sequence {
            hidden = self.layer(&self.layers[*index], &hidden, inputs.sequences)?;
        }
        match &self.final_norm {
            Some(norm) => norm.forward(&hidden),
            None => Ok(hidden),
        }
    }
}
