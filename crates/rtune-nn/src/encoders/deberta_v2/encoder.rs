use super::DebertaV2Config;
use crate::encoders::{Block, BlockConfig, BlockNames, BlockOrder, Tables, TextEncoder};
use crate::{
    Disentangled, Embedding, Inputs, LayerNorm, Linear, NnError, Ops, ParamGroup, Parameters as _,
    Positions, Projections, Result, SelfAttention, SequenceOps, Var, embedding, layer_norm, linear,
    linear_no_bias, parameters,
};
use candle_nn::VarBuilder;
use rtune_task::TextSignature;

/// The names of the projections of relative positions, if they are layers of their own.
const POSITION_KEY: &str = "attention.self.pos_key_proj";
const POSITION_QUERY: &str = "attention.self.pos_query_proj";
const NAMES: BlockNames = BlockNames {
    query: "attention.self.query_proj",
    key: "attention.self.key_proj",
    value: "attention.self.value_proj",
    ..BlockNames::BERT
};

/// A layer, with the projections of relative positions that it does not share with tokens.
#[derive(Debug, Clone)]
struct Layer {
    block: Block,
    position_key: Option<Linear>,
    position_query: Option<Linear>,
}

parameters!(Layer: block, position_key, position_query);

/// The rows of relative positions, and which scores use them.
struct RelativePositions<'v, 'a, O: Ops> {
    rows: &'v Var<'a, O>,
    config: &'v Positioned,
}

/// The constants of relative positions.
#[derive(Debug, Clone)]
struct Positioned {
    /// Scores of content against position.
    by_key: bool,
    /// Scores of position against content.
    by_query: bool,
    span: usize,
    buckets: Option<usize>,
    max_distance: usize,
    dropout: f64,
}

impl Positioned {
    fn of(config: &DebertaV2Config) -> Self {
        Self {
            by_key: config.has_scores("c2p"),
            by_query: config.has_scores("p2c"),
            span: config.span(),
            buckets: config.buckets(),
            max_distance: config.max_distance(),
            dropout: config.hidden_dropout_prob,
        }
    }
}

impl Layer {
    fn load(config: &DebertaV2Config, block: &BlockConfig, vb: &VarBuilder<'_>) -> Result<Self> {
        let width = config.hidden_size;
        let own = |kind, name| {
            let is_own =
                config.relative_attention && !config.share_att_key && config.has_scores(kind);
            is_own
                .then(|| linear(width, width, vb.pp(name)))
                .transpose()
        };
        Ok(Self {
            block: Block::load(BlockOrder::PostNorm, block, &NAMES, vb)?,
            position_key: own("c2p", POSITION_KEY)?,
            position_query: own("p2c", POSITION_QUERY)?,
        })
    }

    fn forward<'a, O: SequenceOps>(
        &self,
        hidden: &Var<'a, O>,
        positions: Option<&RelativePositions<'_, 'a, O>>,
        sequences: &O::Sequences,
    ) -> Result<Var<'a, O>> {
        self.block
            .forward_with(hidden, |attention, xs| match positions {
                None => attention.context(xs, sequences),
                Some(positions) => self.context(attention, xs, positions, sequences),
            })
    }

    /// Attention with scores between tokens and relative positions.
    fn context<'a, O: SequenceOps>(
        &self,
        attention: &SelfAttention,
        xs: &Var<'a, O>,
        positions: &RelativePositions<'_, 'a, O>,
        sequences: &O::Sequences,
    ) -> Result<Var<'a, O>> {
        let [query, key, value] = attention.project_in(xs, sequences)?;
        let (shared_query, shared_key) = match attention.projections() {
            Projections::Separate(layers) => (Some(&layers[0]), Some(&layers[1])),
            Projections::Stacked(_) | Projections::ByHead(_) => (None, None),
        };
        let Positioned {
            by_key,
            by_query,
            span,
            buckets,
            max_distance,
            dropout,
        } = *positions.config;
        let rows = positions.rows.dropout(dropout)?;
        let project = |is_used: bool, own: &Option<Linear>, shared: Option<&Linear>| {
            let layer = own.as_ref().or(shared).filter(|_| is_used);
            let rows = layer.map(|layer| layer.forward(&rows)).transpose()?;
            Ok::<_, NnError>(rows.map(Var::into_value))
        };
        let positions = Disentangled {
            key: project(by_key, &self.position_key, shared_key)?,
            query: project(by_query, &self.position_query, shared_query)?,
            span,
            buckets,
            max_distance,
        };
        let ops = xs.ops();
        let [query, key, value] = [query, key, value].map(Var::into_value);
        let constants = attention.constants();
        let context =
            ops.disentangled_attention(&query, &key, &value, &positions, constants, sequences)?;
        Ok(xs.with(context))
    }
}

/// DeBERTa-v2 (He et al., 2021): a table of relative positions that all layers share.
#[derive(Debug, Clone)]
pub struct DebertaV2 {
    words: Embedding,
    positions: Option<Embedding>,
    token_types: Option<Embedding>,
    projection: Option<Linear>,
    norm: LayerNorm,
    relative: Option<Embedding>,
    relative_norm: Option<LayerNorm>,
    layers: Vec<Layer>,
    positioned: Positioned,
    tables: Tables,
    width: usize,
    max_length: usize,
    dropout: f64,
    head_dropout: f64,
}

parameters!(
    DebertaV2: words, positions, token_types, projection, norm, relative, relative_norm, layers
);

impl DebertaV2 {
    pub(super) fn load(config: &DebertaV2Config, vb: &VarBuilder<'_>) -> Result<Self> {
        let (width, narrow) = (config.hidden_size, config.embedding_size());
        let table = |rows, width, name: &str| {
            let table = embedding(rows, width, vb.pp(name))?;
            Ok::<_, NnError>(table.with_group(ParamGroup::Embeddings))
        };
        let norm = |name: &str| {
            let norm = layer_norm(width, config.layer_norm_eps, vb.pp(name))?;
            Ok::<_, NnError>(norm.with_group(ParamGroup::Embeddings))
        };
        let projection = || {
            let layer = linear_no_bias(narrow, width, vb.pp("embeddings.embed_proj"))?;
            Ok::<_, NnError>(layer.with_group(ParamGroup::Embeddings))
        };
        let block = config.block()?;
        let layer = |index: usize| {
            let layer = Layer::load(config, &block, &vb.pp("encoder.layer").pp(index))?;
            Ok(layer.with_group(ParamGroup::Layer(index)))
        };
        let is_relative = config.relative_attention;
        let rows = config.max_position_embeddings;
        let types = config.type_vocab_size;
        // The fields stand in the order in which missing parameters are reported.
        Ok(Self {
            words: table(config.vocab_size, narrow, "embeddings.word_embeddings")?,
            positions: (config.position_biased_input)
                .then(|| table(rows, narrow, "embeddings.position_embeddings"))
                .transpose()?,
            token_types: (types > 0)
                .then(|| table(types, narrow, "embeddings.token_type_embeddings"))
                .transpose()?,
            projection: (narrow != width).then(projection).transpose()?,
            norm: norm("embeddings.LayerNorm")?,
            relative: is_relative
                .then(|| table(2 * config.span(), width, "encoder.rel_embeddings"))
                .transpose()?,
            relative_norm: (is_relative && config.has_position_norm())
                .then(|| norm("encoder.LayerNorm"))
                .transpose()?,
            layers: (0..config.num_hidden_layers)
                .map(layer)
                .collect::<Result<_>>()?,
            positioned: Positioned::of(config),
            tables: Tables {
                tokens: config.vocab_size,
                token_types: (types > 1).then_some(types),
                padding: None,
            },
            width,
            max_length: config.max_position_embeddings,
            dropout: config.hidden_dropout_prob,
            head_dropout: config.head_dropout(),
        })
    }

    /// The sum of the word, position and token type embeddings, normalized.
    fn embeddings<'a, O: SequenceOps>(&self, inputs: &Inputs<'a, O>) -> Result<Var<'a, O>> {
        let _scope = inputs.ops().scope("embeddings");
        let mut sum = self.words.forward(&inputs.input_ids)?;
        if let Some(table) = &self.positions {
            let positions = inputs.position_ids(Positions::FromZero)?;
            sum = (sum + table.forward(&positions)?)?;
        }
        if let Some(table) = &self.token_types {
            let types = match &inputs.token_type_ids {
                Some(ids) if self.tables.token_types.is_some() => table.forward(ids)?,
                // Without token types, all tokens are of type 0.
                _ => table.row(inputs.ops(), 0)?,
            };
            sum = (sum + types)?;
        }
        if let Some(projection) = &self.projection {
            sum = projection.forward(&sum)?;
        }
        // The reference sets the vectors of padding to zero here; nothing reads them.
        self.norm.forward(&sum)?.dropout(self.dropout)
    }

    /// The table of relative positions.
    fn relative_rows<'a, O: Ops>(&self, ops: &'a O) -> Result<Option<Var<'a, O>>> {
        let Some(table) = &self.relative else {
            return Ok(None);
        };
        let _scope = ops.scope("encoder");
        let rows = table.rows(ops)?;
        Ok(Some(match &self.relative_norm {
            Some(norm) => norm.forward(&rows)?,
            None => rows,
        }))
    }
}

impl TextEncoder for DebertaV2 {
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
        let rows = self.relative_rows(inputs.ops())?;
        let config = &self.positioned;
        let positions = rows.as_ref().map(|rows| RelativePositions { rows, config });
        for layer in &self.layers {
            hidden = layer.forward(&hidden, positions.as_ref(), inputs.sequences)?;
        }
        Ok(hidden)
    }
}
