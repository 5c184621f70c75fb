use crate::encoders::bert::check_heads;
use crate::encoders::fields::{AutoMap, check_epsilon, check_layers, check_rate};
use crate::encoders::relative::{RelativeConfig, RelativeEncoder, RelativeNames};
use crate::encoders::rope::{RopeParameters, check_rotation, theta};
use crate::encoders::{
    Biases, Block, BlockConfig, BlockForm, BlockNames, BlockOrder, FamilyConfig, FeedForwardForm,
    ProjectionForm,
};
use crate::heads::FamilyHead;
use crate::{Activation, Attention, NnError, NormKind, Result, Rotary, TensorNames};
use candle_nn::VarBuilder;
use serde::Deserialize;

/// The settings of a NomicBERT encoder (Nussbaum et al., 2024).
///
/// Files have the names of GPT-2, those of transformers 5, or both; where both state a setting,
/// those of transformers 5 count.
#[derive(Debug, Clone, Deserialize)]
#[expect(missing_docs, reason = "the names and meanings are Hugging Face's")]
pub struct NomicBertConfig {
    pub vocab_size: usize,
    pub hidden_size: Option<usize>,
    pub n_embd: Option<usize>,
    pub num_hidden_layers: Option<usize>,
    pub n_layer: Option<usize>,
    pub num_attention_heads: Option<usize>,
    pub n_head: Option<usize>,
    pub intermediate_size: Option<usize>,
    pub n_inner: Option<usize>,
    pub hidden_act: Option<String>,
    pub activation_function: Option<String>,
    pub layer_norm_eps: Option<f64>,
    pub layer_norm_epsilon: Option<f64>,
    pub max_position_embeddings: Option<usize>,
    pub n_positions: Option<usize>,
    pub max_trained_positions: Option<usize>,
    pub hidden_dropout_prob: Option<f64>,
    pub embd_pdrop: Option<f64>,
    pub resid_pdrop: Option<f64>,
    pub attention_probs_dropout_prob: Option<f64>,
    pub attn_pdrop: Option<f64>,
    pub classifier_dropout: Option<f64>,
    #[serde(default = "default_types")]
    pub type_vocab_size: usize,
    pub rope_parameters: Option<RopeParameters>,
    pub rotary_emb_base: Option<f64>,
    pub rotary_emb_fraction: Option<f64>,
    #[serde(default)]
    pub rotary_emb_interleaved: bool,
    #[serde(default)]
    pub qkv_proj_bias: bool,
    #[serde(default)]
    pub mlp_fc1_bias: bool,
    #[serde(default)]
    pub mlp_fc2_bias: bool,
    #[serde(default)]
    pub prenorm: bool,
    #[serde(default)]
    pub use_rms_norm: bool,
    pub moe_every_n_layers: Option<usize>,
    #[serde(default)]
    pub causal: bool,
    #[serde(default)]
    pub parallel_block: bool,
    #[serde(default)]
    pub scale_attn_by_inverse_layer_idx: bool,
    pub rotary_emb_scale_base: Option<f64>,
    pub head_dim: Option<usize>,
    pub auto_map: Option<AutoMap>,
}

fn default_types() -> usize {
    2
}

const NAMES: BlockNames = BlockNames {
    query: "attn.Wqkv",
    key: "",
    value: "",
    attention_output: "attn.out_proj",
    attention_norm: "norm1",
    up: "mlp.fc11",
    down: "mlp.fc2",
    feed_forward_norm: "norm2",
};

/// Takes a setting by its name in transformers 5 or, without it, in GPT-2.
fn either(names: [&str; 2], values: [Option<usize>; 2]) -> Result<usize> {
    values[0].or(values[1]).ok_or_else(|| {
        NnError::config(
            "config.json",
            format!("has neither `{}` nor `{}`", names[0], names[1]),
        )
    })
}

impl NomicBertConfig {
    fn width(&self) -> Result<usize> {
        either(["hidden_size", "n_embd"], [self.hidden_size, self.n_embd])
    }

    fn layers(&self) -> Result<usize> {
        let values = [self.num_hidden_layers, self.n_layer];
        either(["num_hidden_layers", "n_layer"], values)
    }

    fn heads(&self) -> Result<usize> {
        let values = [self.num_attention_heads, self.n_head];
        either(["num_attention_heads", "n_head"], values)
    }

    fn epsilon(&self) -> f64 {
        self.layer_norm_eps
            .or(self.layer_norm_epsilon)
            .unwrap_or(1e-12)
    }

    fn dropout(&self) -> f64 {
        self.hidden_dropout_prob.or(self.resid_pdrop).unwrap_or(0.0)
    }

    fn embedding_dropout(&self) -> f64 {
        self.hidden_dropout_prob.or(self.embd_pdrop).unwrap_or(0.0)
    }

    fn attention_dropout(&self) -> f64 {
        self.attention_probs_dropout_prob
            .or(self.attn_pdrop)
            .unwrap_or(0.0)
    }

    fn head_dropout(&self) -> f64 {
        self.classifier_dropout.unwrap_or(self.dropout())
    }

    fn theta(&self) -> f64 {
        theta(self.rope_parameters.as_ref(), self.rotary_emb_base).unwrap_or(1000.0)
    }

    /// The activation: `silu`, or GPT-2's name of the gated form, `swiglu`.
    fn activation(&self) -> Result<Activation> {
        if let Some(name) = &self.hidden_act {
            return Activation::from_name("hidden_act", name);
        }
        match self.activation_function.as_deref() {
            None | Some("swiglu") => Ok(Activation::Silu),
            Some("geglu") => Ok(Activation::Gelu),
            Some(other) => Err(NnError::config(
                "activation_function in config.json",
                format!("`{other}` is not supported; supported are geglu and swiglu"),
            )),
        }
    }

    fn block(&self) -> Result<BlockConfig> {
        let (width, heads) = (self.width()?, self.heads()?);
        let head_dim = width / heads;
        Ok(BlockConfig {
            width,
            inner: either(
                ["intermediate_size", "n_inner"],
                [self.intermediate_size, self.n_inner],
            )?,
            attention: Attention {
                rotary: Some(Rotary::new(head_dim, self.theta())),
                dropout: self.attention_dropout(),
                ..Attention::new(heads, head_dim)
            },
            activation: self.activation()?,
            epsilon: self.epsilon(),
            attention_dropout: self.dropout(),
            dropout: self.dropout(),
        })
    }

    fn form(&self) -> BlockForm {
        BlockForm {
            projections: ProjectionForm::Stacked,
            feed_forward: FeedForwardForm::Gated("mlp.fc12"),
            biases: Biases {
                projections: self.qkv_proj_bias,
                attention_output: self.qkv_proj_bias,
                up: self.mlp_fc1_bias,
                down: self.mlp_fc2_bias,
            },
            ..BlockForm::default()
        }
    }

    fn check_variant(&self) -> Result<()> {
        let refused = [
            ("prenorm", self.prenorm, "normalizes before each part"),
            ("use_rms_norm", self.use_rms_norm, "has RMS normalizations"),
            (
                "rotary_emb_interleaved",
                self.rotary_emb_interleaved,
                "turns neighboring elements",
            ),
            (
                "rotary_emb_fraction",
                self.rotary_emb_fraction.is_some_and(|share| share != 1.0),
                "turns a part of each head, or nothing",
            ),
            ("causal", self.causal, "is a decoder"),
            (
                "parallel_block",
                self.parallel_block,
                "computes attention and feed-forward side by side",
            ),
            (
                "scale_attn_by_inverse_layer_idx",
                self.scale_attn_by_inverse_layer_idx,
                "scales the scores by the number of the layer",
            ),
            (
                "rotary_emb_scale_base",
                self.rotary_emb_scale_base.is_some(),
                "scales the rotated elements",
            ),
            (
                "moe_every_n_layers",
                self.moe_every_n_layers.is_some_and(|every| every > 0),
                "has layers of several experts, as nomic-embed-text-v2",
            ),
        ];
        match refused.iter().find(|(_, is_set, _)| *is_set) {
            None => Ok(()),
            Some((key, _, variant)) => Err(NnError::config(
                format!("{key} in config.json"),
                format!("the model {variant}, which rtune does not compute for NomicBERT"),
            )),
        }
    }
}

impl FamilyConfig for NomicBertConfig {
    type Encoder = RelativeEncoder;

    const FIELDS: &'static [&'static str] = &[
        "activation_function",
        "attention_probs_dropout_prob",
        "attn_pdrop",
        "auto_map",
        "causal",
        "classifier_dropout",
        // Ways to compute the same, sizes of tables and settings of other heads, as the fields
        // below that the struct does not have.
        "dense_seq_output",
        "embd_pdrop",
        "fused_bias_fc",
        "fused_dropout_add_ln",
        "head_dim",
        "hidden_act",
        "hidden_dropout_prob",
        "hidden_size",
        "intermediate_size",
        "layer_norm_eps",
        "layer_norm_epsilon",
        "max_position_embeddings",
        "max_trained_positions",
        "mlp_fc1_bias",
        "mlp_fc2_bias",
        "moe_every_n_layers",
        "n_embd",
        "n_head",
        "n_inner",
        "n_layer",
        "n_positions",
        "num_attention_heads",
        "num_hidden_layers",
        "pad_vocab_size_multiple",
        "parallel_block",
        "parallel_block_tied_norm",
        "prenorm",
        "qkv_proj_bias",
        "reorder_and_upcast_attn",
        "resid_pdrop",
        "rope_parameters",
        "rotary_emb_base",
        "rotary_emb_fraction",
        "rotary_emb_interleaved",
        "rotary_emb_scale_base",
        // It changes nothing up to the greatest length of training, which is the limit here.
        "rotary_scaling_factor",
        "scale_attn_by_inverse_layer_idx",
        "scale_attn_weights",
        "summary_activation",
        "summary_first_dropout",
        "summary_proj_to_labels",
        "summary_type",
        "summary_use_proj",
        "type_vocab_size",
        "use_flash_attn",
        "use_rms_norm",
        "use_xentropy",
        "vocab_size",
    ];

    const NAMES: TensorNames = TensorNames {
        prefixes: &["nomic_bert"],
        anchor: "embeddings.word_embeddings.weight",
    };

    fn check(&self) -> Result<()> {
        AutoMap::check(self.auto_map.as_ref(), "NomicBert")?;
        let (width, heads) = (self.width()?, self.heads()?);
        check_heads(("num_attention_heads", heads), ("hidden_size", width))?;
        if let Some(head_dim) = self.head_dim.filter(|found| *found != width / heads) {
            let problem = format!("is {head_dim}, expected {}", width / heads);
            return Err(NnError::config("head_dim in config.json", problem));
        }
        check_layers("num_hidden_layers", self.layers()?)?;
        for (key, rate) in [
            ("hidden_dropout_prob", self.dropout()),
            ("embd_pdrop", self.embedding_dropout()),
            ("attention_probs_dropout_prob", self.attention_dropout()),
            ("classifier_dropout", self.head_dropout()),
        ] {
            check_rate(key, rate)?;
        }
        check_epsilon("layer_norm_eps", self.epsilon())?;
        self.activation()?;
        self.check_variant()?;
        if let Some(rotation) = &self.rope_parameters {
            // It changes nothing up to `max_position_embeddings` tokens.
            rotation.check("rope_parameters", &["dynamic"])?;
        }
        check_rotation("rotary_emb_base", self.theta(), width / heads)?;
        self.max_length().map(|_| ())
    }

    fn max_length(&self) -> Result<usize> {
        let values = [self.max_position_embeddings, self.n_positions];
        let length = either(["max_position_embeddings", "n_positions"], values)?;
        Ok(self
            .max_trained_positions
            .filter(|trained| *trained > 0)
            .map_or(length, |trained| trained.min(length)))
    }

    fn head(&self) -> Result<FamilyHead> {
        Ok(FamilyHead::bert(self.layers()?))
    }

    fn load(&self, vb: &VarBuilder<'_>) -> Result<RelativeEncoder> {
        let config = RelativeConfig {
            vocabulary: self.vocab_size,
            token_types: self.type_vocab_size,
            width: self.width()?,
            layers: self.layers()?,
            norm: NormKind::Layer,
            epsilon: self.epsilon(),
            max_length: self.max_length()?,
            dropout: self.embedding_dropout(),
            head_dropout: self.head_dropout(),
        };
        let names = RelativeNames {
            norm: Some("emb_ln"),
            layers: "encoder.layers",
            ..RelativeNames::BERT
        };
        let (form, block) = (self.form(), self.block()?);
        RelativeEncoder::load(&config, &names, vb, |_, vb| {
            Block::load_as(&form, BlockOrder::PostNorm, &block, &NAMES, vb)
        })
    }
}
