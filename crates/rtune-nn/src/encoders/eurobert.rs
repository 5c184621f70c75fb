use crate::encoders::bert::check_heads;
use crate::encoders::fields::{AutoMap, check_epsilon, check_layers, check_rate};
use crate::encoders::relative::{RelativeConfig, RelativeEncoder, RelativeNames};
use crate::encoders::rope::{RopeParameters, check_rotation, theta};
use crate::encoders::{
    Biases, Block, BlockConfig, BlockForm, BlockNames, BlockOrder, FamilyConfig, FeedForwardForm,
    ProjectionForm,
};
use crate::heads::{FamilyHead, Reduction, reduction};
use crate::{Activation, Attention, NnError, NormKind, Result, Rotary, TensorNames};
use candle_nn::VarBuilder;
use serde::Deserialize;

/// The settings of a EuroBERT encoder (Boizard et al., 2025), with Hugging Face's names and
/// meanings: those of Llama.
#[derive(Debug, Clone, Deserialize)]
#[expect(missing_docs, reason = "the names and meanings are Hugging Face's")]
pub struct EuroBertConfig {
    pub vocab_size: usize,
    pub hidden_size: usize,
    pub num_hidden_layers: usize,
    pub num_attention_heads: usize,
    pub num_key_value_heads: Option<usize>,
    pub head_dim: Option<usize>,
    pub intermediate_size: usize,
    #[serde(default = "default_activation")]
    pub hidden_act: String,
    pub max_position_embeddings: usize,
    #[serde(default = "default_epsilon")]
    pub rms_norm_eps: f64,
    #[serde(default)]
    pub attention_dropout: f64,
    #[serde(default)]
    pub attention_bias: bool,
    #[serde(default)]
    pub mlp_bias: bool,
    pub rope_theta: Option<f64>,
    pub rope_scaling: Option<RopeParameters>,
    pub rope_parameters: Option<RopeParameters>,
    pub auto_map: Option<AutoMap>,
    pub classifier_pooling: Option<String>,
    pub clf_pooling: Option<String>,
}

fn default_activation() -> String {
    "silu".to_owned()
}

fn default_epsilon() -> f64 {
    1e-5
}

const NAMES: BlockNames = BlockNames {
    query: "self_attn.q_proj",
    key: "self_attn.k_proj",
    value: "self_attn.v_proj",
    attention_output: "self_attn.o_proj",
    attention_norm: "input_layernorm",
    up: "mlp.up_proj",
    down: "mlp.down_proj",
    feed_forward_norm: "post_attention_layernorm",
};

/// The values of `classifier_pooling`, which the models' own code calls `clf_pooling`.
const POOLINGS: [(&str, Reduction); 3] = [
    ("bos", Reduction::First),
    ("late", Reduction::Late),
    ("mean", Reduction::Mean),
];

impl EuroBertConfig {
    fn kv_heads(&self) -> usize {
        self.num_key_value_heads.unwrap_or(self.num_attention_heads)
    }

    fn head_dim(&self) -> usize {
        self.head_dim
            .unwrap_or(self.hidden_size / self.num_attention_heads)
    }

    fn theta(&self) -> f64 {
        theta(self.rope_parameters.as_ref(), self.rope_theta).unwrap_or(10_000.0)
    }

    fn block(&self) -> Result<BlockConfig> {
        let head_dim = self.head_dim();
        Ok(BlockConfig {
            width: self.hidden_size,
            inner: self.intermediate_size,
            attention: Attention {
                kv_heads: self.kv_heads(),
                rotary: Some(Rotary::new(head_dim, self.theta())),
                dropout: self.attention_dropout,
                ..Attention::new(self.num_attention_heads, head_dim)
            },
            activation: Activation::from_name("hidden_act", &self.hidden_act)?,
            epsilon: self.rms_norm_eps,
            attention_dropout: 0.0,
            dropout: 0.0,
        })
    }

    fn form(&self) -> BlockForm {
        BlockForm {
            norm: NormKind::Rms,
            has_attention_norm: true,
            projections: ProjectionForm::Separate,
            feed_forward: FeedForwardForm::Gated("mlp.gate_proj"),
            biases: Biases {
                projections: self.attention_bias,
                attention_output: self.attention_bias,
                up: self.mlp_bias,
                down: self.mlp_bias,
            },
            inner_dropout: 0.0,
        }
    }
}

impl FamilyConfig for EuroBertConfig {
    type Encoder = RelativeEncoder;

    const FIELDS: &'static [&'static str] = &[
        "attention_bias",
        "attention_dropout",
        "auto_map",
        // The tokenizer knows its special tokens.
        "bos_token",
        "classifier_pooling",
        "clf_pooling",
        "eos_token",
        "head_dim",
        "hidden_act",
        "hidden_size",
        "intermediate_size",
        "mask_token",
        "max_position_embeddings",
        "mlp_bias",
        "num_attention_heads",
        "num_hidden_layers",
        "num_key_value_heads",
        "pad_token",
        // Of training on several devices.
        "pretraining_tp",
        "rms_norm_eps",
        "rope_parameters",
        "rope_scaling",
        "rope_theta",
        "vocab_size",
    ];

    const NAMES: TensorNames = TensorNames {
        prefixes: &["model"],
        anchor: "embed_tokens.weight",
    };

    fn check(&self) -> Result<()> {
        AutoMap::check(self.auto_map.as_ref(), "EuroBert")?;
        check_heads(
            ("num_attention_heads", self.num_attention_heads),
            ("hidden_size", self.hidden_size),
        )?;
        check_heads(
            ("num_key_value_heads", self.kv_heads()),
            ("num_attention_heads", self.num_attention_heads),
        )?;
        check_layers("num_hidden_layers", self.num_hidden_layers)?;
        check_rate("attention_dropout", self.attention_dropout)?;
        check_epsilon("rms_norm_eps", self.rms_norm_eps)?;
        Activation::from_name("hidden_act", &self.hidden_act)?;
        for (key, rotation) in [
            ("rope_scaling", &self.rope_scaling),
            ("rope_parameters", &self.rope_parameters),
        ] {
            rotation.iter().try_for_each(|r| r.check(key, &[]))?;
        }
        if self.head_dim() == 0 {
            return Err(NnError::config("head_dim in config.json", "is 0"));
        }
        check_rotation("rope_theta", self.theta(), self.head_dim())
    }

    fn max_length(&self) -> Result<usize> {
        Ok(self.max_position_embeddings)
    }

    fn head(&self) -> Result<FamilyHead> {
        let pooling = self
            .classifier_pooling
            .as_ref()
            .or(self.clf_pooling.as_ref());
        let pooling = pooling.map_or("late", String::as_str);
        Ok(FamilyHead {
            reduction: reduction("classifier_pooling", pooling, &POOLINGS)?,
            dense: "dense",
            activation: Activation::Gelu,
            output: "classifier",
            ..FamilyHead::roberta(0.0)
        })
    }

    fn load(&self, vb: &VarBuilder<'_>) -> Result<RelativeEncoder> {
        let config = RelativeConfig {
            vocabulary: self.vocab_size,
            token_types: 0,
            width: self.hidden_size,
            layers: self.num_hidden_layers,
            norm: NormKind::Rms,
            epsilon: self.rms_norm_eps,
            max_length: self.max_position_embeddings,
            dropout: 0.0,
            head_dropout: 0.0,
        };
        let names = RelativeNames {
            words: "embed_tokens",
            norm: None,
            layers: "layers",
            final_norm: Some("norm"),
            ..RelativeNames::BERT
        };
        let (form, block) = (self.form(), self.block()?);
        RelativeEncoder::load(&config, &names, vb, |_, vb| {
            Block::load_as(&form, BlockOrder::PreNorm, &block, &NAMES, vb)
        })
    }
}
