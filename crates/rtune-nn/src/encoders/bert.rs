use crate::{
    Activation, Attention, Embedding, Inputs, LayerNorm, Linear, NnError, Ops, ParamGroup,
    Parameters as _, Positions, Result, SequenceOps, Var, embedding, layer_norm, linear,
    parameters,
};
use candle_nn::VarBuilder;
use serde::Deserialize;

/// The settings of a BERT encoder, as `config.json` has them.
#[derive(Debug, Clone, Deserialize)]
#[allow(missing_docs)] // Hugging Face's names and meanings.
pub struct BertConfig {
    pub vocab_size: usize,
    pub hidden_size: usize,
    pub num_hidden_layers: usize,
    pub num_attention_heads: usize,
    pub intermediate_size: usize,
    #[serde(default = "gelu")]
    pub hidden_act: String,
    #[serde(default = "tenth")]
    pub hidden_dropout_prob: f64,
    #[serde(default = "tenth")]
    pub attention_probs_dropout_prob: f64,
    pub max_position_embeddings: usize,
    #[serde(default = "two")]
    pub type_vocab_size: usize,
    #[serde(default = "tiny")]
    pub layer_norm_eps: f64,
    #[serde(default = "absolute")]
    pub position_embedding_type: Option<String>,
}

fn gelu() -> String {
    "gelu".to_owned()
}
fn tenth() -> f64 {
    0.1
}
fn two() -> usize {
    2
}
fn tiny() -> f64 {
    1e-12
}
#[allow(clippy::unnecessary_wraps)] // serde wants the field's type.
fn absolute() -> Option<String> {
    Some("absolute".to_owned())
}

impl BertConfig {
    fn check(&self) -> Result<()> {
        if self.num_attention_heads == 0
            || !self.hidden_size.is_multiple_of(self.num_attention_heads)
        {
            let problem = format!(
                "is {}, no divisor of hidden_size {}",
                self.num_attention_heads, self.hidden_size
            );
            return Err(NnError::config(
                "num_attention_heads in config.json",
                problem,
            ));
        }
        match self.position_embedding_type.as_deref() {
            None | Some("absolute") => Ok(()),
            Some(other) => {
                let problem = format!("`{other}` is not supported; supported is absolute");
                Err(NnError::config(
                    "position_embedding_type in config.json",
                    problem,
                ))
            }
        }
    }
}

/// BERT (Devlin et al., 2018): embeddings, encoder and, where it is asked for, the pooler.
#[derive(Debug, Clone)]
pub struct Bert {
    words: Embedding,
    positions: Embedding,
    token_types: Embedding,
    norm: LayerNorm,
    layers: Vec<Layer>,
    pooler: Option<Linear>,
    width: usize,
    dropout: f64,
}

parameters!(Bert: words, positions, token_types, norm, layers, pooler);

impl Bert {
    pub(crate) fn load(config: &BertConfig, vb: &VarBuilder<'_>, pooler: bool) -> Result<Self> {
        config.check()?;
        let (width, epsilon) = (config.hidden_size, config.layer_norm_eps);
        let table = |rows, name: &str| {
            let embedding = embedding(rows, width, vb.pp("embeddings").pp(name))?;
            Ok::<_, NnError>(embedding.with_group(ParamGroup::Embeddings))
        };
        let layers = (0..config.num_hidden_layers).map(|index| {
            let layer = Layer::load(config, &vb.pp("encoder.layer").pp(index))?;
            Ok(layer.with_group(ParamGroup::Layer(index)))
        });
        // The struct is filled in the order in which missing tensors are reported.
        Ok(Self {
            words: table(config.vocab_size, "word_embeddings")?,
            positions: table(config.max_position_embeddings, "position_embeddings")?,
            token_types: table(config.type_vocab_size, "token_type_embeddings")?,
            norm: layer_norm(width, epsilon, vb.pp("embeddings.LayerNorm"))?
                .with_group(ParamGroup::Embeddings),
            layers: layers.collect::<Result<_>>()?,
            pooler: pooler
                .then(|| linear(width, width, vb.pp("pooler.dense")))
                .transpose()?
                .map(|pooler| pooler.with_group(ParamGroup::Layer(config.num_hidden_layers))),
            width,
            dropout: config.hidden_dropout_prob,
        })
    }

    pub(crate) fn width(&self) -> usize {
        self.width
    }

    pub(crate) fn dropout(&self) -> f64 {
        self.dropout
    }

    /// # Shapes
    /// ids `[tokens..]` → `[tokens.., width]`
    pub(crate) fn forward<'a, O: SequenceOps>(&self, inputs: &Inputs<'a, O>) -> Result<Var<'a, O>> {
        let mut hidden = {
            let _scope = inputs.ops().scope("embeddings");
            let words = self.words.forward(&inputs.input_ids)?;
            let token_types = self.token_types.forward(&inputs.token_type_ids)?;
            let positions = inputs.position_ids(Positions::FromZero)?;
            let positions = self.positions.forward(&positions)?;
            let sum = ((words + token_types)? + positions)?;
            self.norm.forward(&sum)?.dropout(self.dropout)?
        };
        for layer in &self.layers {
            hidden = layer.forward(&hidden, inputs.sequences)?;
        }
        Ok(hidden)
    }

    /// # Shapes
    /// first `[batch, width]` → the same
    pub(crate) fn pool<'a, O: Ops>(&self, first: &Var<'a, O>) -> Result<Var<'a, O>> {
        let Some(pooler) = &self.pooler else {
            return Err(NnError::config(
                "pooling",
                "the encoder was loaded without its pooler",
            ));
        };
        pooler.forward(first)?.tanh()
    }
}

/// Self-attention and feed-forward, each with a residual connection and a normalization behind it.
#[derive(Debug, Clone)]
struct Layer {
    path: String,
    query: Linear,
    key: Linear,
    value: Linear,
    attention_output: Linear,
    attention_norm: LayerNorm,
    intermediate: Linear,
    activation: Activation,
    output: Linear,
    output_norm: LayerNorm,
    attention: Attention,
    dropout: f64,
}

parameters!(
    Layer: query, key, value, attention_output, attention_norm, intermediate, output, output_norm
);

impl Layer {
    fn load(config: &BertConfig, vb: &VarBuilder<'_>) -> Result<Self> {
        let (width, inner, epsilon) = (
            config.hidden_size,
            config.intermediate_size,
            config.layer_norm_eps,
        );
        Ok(Self {
            query: linear(width, width, vb.pp("attention.self.query"))?,
            key: linear(width, width, vb.pp("attention.self.key"))?,
            value: linear(width, width, vb.pp("attention.self.value"))?,
            attention_output: linear(width, width, vb.pp("attention.output.dense"))?,
            attention_norm: layer_norm(width, epsilon, vb.pp("attention.output.LayerNorm"))?,
            intermediate: linear(width, inner, vb.pp("intermediate.dense"))?,
            activation: Activation::from_name(&config.hidden_act)?,
            output: linear(inner, width, vb.pp("output.dense"))?,
            output_norm: layer_norm(width, epsilon, vb.pp("output.LayerNorm"))?,
            attention: Attention {
                dropout: config.attention_probs_dropout_prob,
                ..Attention::new(
                    config.num_attention_heads,
                    width / config.num_attention_heads,
                )
            },
            dropout: config.hidden_dropout_prob,
            path: vb.prefix(),
        })
    }

    /// # Shapes
    /// hidden `[tokens.., width]` → the same
    fn forward<'a, O: SequenceOps>(
        &self,
        hidden: &Var<'a, O>,
        sequences: &O::Sequences,
    ) -> Result<Var<'a, O>> {
        let scope = |name: &str| hidden.ops().scope(&format!("{}.{name}", self.path));
        let context = {
            let _scope = scope("attention.self");
            let query = self.query.forward(hidden)?;
            let key = self.key.forward(hidden)?;
            let value = self.value.forward(hidden)?;
            query.attention(&key, &value, &self.attention, sequences)?
        };
        let attended = {
            let _scope = scope("attention.output");
            let output = self.attention_output.forward(&context)?;
            self.attention_norm
                .forward(&(output.dropout(self.dropout)? + hidden)?)?
        };
        let inner = {
            let _scope = scope("intermediate");
            let inner = self.intermediate.forward(&attended)?;
            self.activation.forward(&inner)?
        };
        let _scope = scope("output");
        let output = self.output.forward(&inner)?.dropout(self.dropout)?;
        self.output_norm.forward(&(output + attended)?)
    }
}
