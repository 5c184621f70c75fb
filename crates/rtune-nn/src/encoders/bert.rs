use crate::encoders::fields::{check_epsilon, check_layers, check_rate};
use crate::encoders::{
    Block, BlockConfig, BlockNames, BlockOrder, FamilyConfig, Tables, TextEncoder,
};
use crate::{
    Activation, Attention, Embedding, Inputs, LayerNorm, Linear, NnError, Ops, ParamGroup,
    Parameters as _, Positions, Result, SequenceOps, TensorNames, Var, embedding, layer_norm,
    linear, parameters,
};
use candle_nn::VarBuilder;
use rtune_task::TextSignature;
use serde::Deserialize;

/// The settings of a BERT encoder, with Hugging Face's names and meanings.
#[derive(Debug, Clone, Deserialize)]
#[expect(missing_docs, reason = "the names and meanings are Hugging Face's")]
pub struct BertConfig {
    pub vocab_size: usize,
    pub hidden_size: usize,
    pub num_hidden_layers: usize,
    pub num_attention_heads: usize,
    pub intermediate_size: usize,
    #[serde(default = "default_activation")]
    pub hidden_act: String,
    #[serde(default = "default_dropout")]
    pub hidden_dropout_prob: f64,
    #[serde(default = "default_dropout")]
    pub attention_probs_dropout_prob: f64,
    pub max_position_embeddings: usize,
    #[serde(default = "default_type_vocab_size")]
    pub type_vocab_size: usize,
    #[serde(default = "default_layer_norm_eps")]
    pub layer_norm_eps: f64,
    #[serde(default)]
    pub position_embedding_type: Option<String>,
    #[serde(default)]
    pub classifier_dropout: Option<f64>,
}

pub(super) fn default_activation() -> String {
    "gelu".to_owned()
}

pub(super) fn default_dropout() -> f64 {
    0.1
}

fn default_type_vocab_size() -> usize {
    2
}

fn default_layer_norm_eps() -> f64 {
    1e-12
}

impl BertConfig {
    /// The rate of dropout before the head.
    pub(super) fn head_dropout(&self) -> f64 {
        self.classifier_dropout.unwrap_or(self.hidden_dropout_prob)
    }

    pub(super) fn block(&self) -> Result<BlockConfig> {
        let heads = self.num_attention_heads;
        Ok(BlockConfig {
            width: self.hidden_size,
            inner: self.intermediate_size,
            attention: Attention {
                dropout: self.attention_probs_dropout_prob,
                ..Attention::new(heads, self.hidden_size / heads)
            },
            activation: Activation::from_name("hidden_act", &self.hidden_act)?,
            epsilon: self.layer_norm_eps,
            attention_dropout: self.hidden_dropout_prob,
            dropout: self.hidden_dropout_prob,
        })
    }
}

impl FamilyConfig for BertConfig {
    type Encoder = Bert;

    const FIELDS: &'static [&'static str] = &[
        "attention_probs_dropout_prob",
        "classifier_dropout",
        "hidden_act",
        "hidden_dropout_prob",
        "hidden_size",
        "intermediate_size",
        "layer_norm_eps",
        "max_position_embeddings",
        "num_attention_heads",
        "num_hidden_layers",
        "position_embedding_type",
        "type_vocab_size",
        "vocab_size",
    ];

    const NAMES: TensorNames = TensorNames {
        prefixes: &["bert"],
        anchor: "embeddings.word_embeddings.weight",
    };

    fn check(&self) -> Result<()> {
        check_heads(
            ("num_attention_heads", self.num_attention_heads),
            ("hidden_size", self.hidden_size),
        )?;
        check_layers("num_hidden_layers", self.num_hidden_layers)?;
        check_rate("hidden_dropout_prob", self.hidden_dropout_prob)?;
        check_rate(
            "attention_probs_dropout_prob",
            self.attention_probs_dropout_prob,
        )?;
        check_rate("classifier_dropout", self.head_dropout())?;
        check_epsilon("layer_norm_eps", self.layer_norm_eps)?;
        Activation::from_name("hidden_act", &self.hidden_act)?;
        match self.position_embedding_type.as_deref() {
            None | Some("absolute") => Ok(()),
            Some(other) => Err(NnError::config(
                "position_embedding_type in config.json",
                format!("`{other}` is not supported; supported is absolute"),
            )),
        }
    }

    fn max_length(&self) -> Result<usize> {
        Ok(self.max_position_embeddings)
    }

    fn load(&self, vb: &VarBuilder<'_>, pooler: bool) -> Result<Bert> {
        Bert::load(
            self,
            Positions::FromZero,
            self.max_position_embeddings,
            vb,
            pooler,
        )
    }
}

/// Checks that the number of heads is one that a model can have and divides the width; both with
/// their keys in config.json.
pub(super) fn check_heads(heads: (&str, usize), width: (&str, usize)) -> Result<()> {
    // ALiBi has a number for each head, made before the weights are found not to fit.
    const MOST: usize = 1 << 16;
    if heads.1 > MOST {
        return Err(NnError::config(
            format!("{} in config.json", heads.0),
            format!("is {}, expected at most {MOST}", heads.1),
        ));
    }
    if heads.1 > 0 && width.1.is_multiple_of(heads.1) {
        return Ok(());
    }
    Err(NnError::config(
        format!("{} in config.json", heads.0),
        format!(
            "is {}, which does not divide {} {}",
            heads.1, width.0, width.1
        ),
    ))
}

/// BERT (Devlin et al., 2018): embeddings, encoder and, if it is asked for, the pooler. RoBERTa is
/// the same module with another rule for positions.
#[derive(Debug, Clone)]
pub struct Bert {
    words: Embedding,
    positions: Embedding,
    token_types: Option<Embedding>,
    norm: LayerNorm,
    layers: Vec<Block>,
    pooler: Option<Linear>,
    position_rule: Positions,
    tables: Tables,
    width: usize,
    max_length: usize,
    dropout: f64,
    head_dropout: f64,
}

parameters!(Bert: words, positions, token_types, norm, layers, pooler);

impl Bert {
    /// The encoder that `config` describes, over the parameters at the path of `vb`.
    ///
    /// # Errors
    /// If the activation is not supported, or a parameter cannot be loaded.
    pub(super) fn load(
        config: &BertConfig,
        position_rule: Positions,
        max_length: usize,
        vb: &VarBuilder<'_>,
        pooler: bool,
    ) -> Result<Self> {
        let width = config.hidden_size;
        let table = |rows, name: &str| {
            let table = embedding(rows, width, vb.pp("embeddings").pp(name))?;
            Ok::<_, NnError>(table.with_group(ParamGroup::Embeddings))
        };
        let block = config.block()?;
        let layer = |index: usize| {
            let vb = vb.pp("encoder.layer").pp(index);
            let block = Block::load(BlockOrder::PostNorm, &block, &BlockNames::BERT, &vb)?;
            Ok(block.with_group(ParamGroup::Layer(index)))
        };
        let top = ParamGroup::Layer(config.num_hidden_layers);
        let pooler = pooler.then(|| linear(width, width, vb.pp("pooler.dense")));
        // The fields stand in the order in which missing parameters are reported.
        Ok(Self {
            words: table(config.vocab_size, "word_embeddings")?,
            positions: table(config.max_position_embeddings, "position_embeddings")?,
            token_types: match config.type_vocab_size {
                0 => None,
                rows => Some(table(rows, "token_type_embeddings")?),
            },
            norm: layer_norm(width, config.layer_norm_eps, vb.pp("embeddings.LayerNorm"))?
                .with_group(ParamGroup::Embeddings),
            layers: (0..config.num_hidden_layers)
                .map(layer)
                .collect::<Result<_>>()?,
            pooler: pooler.transpose()?.map(|pooler| pooler.with_group(top)),
            position_rule,
            tables: Tables {
                tokens: config.vocab_size,
                token_types: (config.type_vocab_size > 1).then_some(config.type_vocab_size),
                padding: match position_rule {
                    Positions::FromZero => None,
                    Positions::AfterPadding(padding) => Some(padding),
                },
            },
            width,
            max_length,
            dropout: config.hidden_dropout_prob,
            head_dropout: config.head_dropout(),
        })
    }

    /// The sum of the word, token type and position embeddings, normalized.
    fn embeddings<'a, O: SequenceOps>(&self, inputs: &Inputs<'a, O>) -> Result<Var<'a, O>> {
        let _scope = inputs.ops().scope("embeddings");
        let words = self.words.forward(&inputs.input_ids)?;
        let token_types = match (&self.token_types, &inputs.token_type_ids) {
            (None, _) => None,
            (Some(table), Some(ids)) if self.tables.token_types.is_some() => {
                Some(table.forward(ids)?)
            }
            // Without token types, all tokens are of type 0.
            (Some(table), _) => Some(table.row(inputs.ops(), 0)?),
        };
        let positions = inputs.position_ids(self.position_rule)?;
        let positions = self.positions.forward(&positions)?;
        let sum = match token_types {
            Some(token_types) => (words + token_types)?,
            None => words,
        };
        self.norm
            .forward(&(sum + positions)?)?
            .dropout(self.dropout)
    }
}

impl TextEncoder for Bert {
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
        Ok(hidden)
    }

    fn pool<'a, O: Ops>(&self, first: &Var<'a, O>) -> Result<Var<'a, O>> {
        match &self.pooler {
            Some(pooler) => pooler.forward(first)?.tanh(),
            None => Err(NnError::config(
                "pooling",
                "the encoder was loaded without its pooler",
            )),
        }
    }
}
