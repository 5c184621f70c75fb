use crate::encoders::bert::{check_heads, default_activation, default_dropout};
use crate::encoders::fields::{AutoMap, check_epsilon, check_layers, check_rate};
use crate::encoders::relative::{RelativeConfig, RelativeEncoder, RelativeNames};
use crate::encoders::rope::{RopeParameters, check_rotation, theta};
use crate::encoders::{
    Biases, Block, BlockConfig, BlockForm, BlockNames, BlockOrder, FamilyConfig, FeedForwardForm,
    ProjectionForm,
};
use crate::heads::FamilyHead;
use crate::{Activation, Attention, GateOrder, NnError, NormKind, Result, Rotary, TensorNames};
use candle_nn::VarBuilder;
use serde::Deserialize;

/// The settings of a GTE encoder (Zhang et al., 2024): gte-base-en-v1.5, gte-multilingual-base and
/// models of their shape, with the names and meanings of their own code (`new`) and of transformers
/// (`gte`).
#[derive(Debug, Clone, Deserialize)]
#[expect(missing_docs, reason = "the names and meanings are Hugging Face's")]
pub struct GteConfig {
    pub model_type: String,
    pub vocab_size: usize,
    pub hidden_size: usize,
    pub num_hidden_layers: usize,
    pub num_attention_heads: usize,
    pub intermediate_size: usize,
    #[serde(default = "default_activation")]
    pub hidden_act: String,
    #[serde(default = "default_dropout")]
    pub hidden_dropout_prob: f64,
    #[serde(default)]
    pub attention_probs_dropout_prob: f64,
    pub classifier_dropout: Option<f64>,
    pub max_position_embeddings: usize,
    #[serde(default = "default_types")]
    pub type_vocab_size: usize,
    #[serde(default = "default_epsilon")]
    pub layer_norm_eps: f64,
    pub position_embedding_type: Option<String>,
    pub rope_theta: Option<f64>,
    pub rope_scaling: Option<RopeParameters>,
    pub rope_parameters: Option<RopeParameters>,
    pub layer_norm_type: Option<String>,
    #[serde(default)]
    pub logn_attention_scale: bool,
    pub pack_qkv: Option<bool>,
    pub auto_map: Option<AutoMap>,
}

fn default_types() -> usize {
    1
}

fn default_epsilon() -> f64 {
    1e-12
}

const NAMES: BlockNames = BlockNames {
    query: "attention.qkv_proj",
    key: "",
    value: "",
    attention_output: "attention.o_proj",
    attention_norm: "attn_ln",
    up: "mlp.up_gate_proj",
    down: "mlp.down_proj",
    feed_forward_norm: "mlp_ln",
};

const FORM: BlockForm = BlockForm {
    norm: NormKind::Layer,
    has_attention_norm: true,
    projections: ProjectionForm::Stacked,
    feed_forward: FeedForwardForm::Packed(GateOrder::GateSecond),
    biases: Biases {
        up: false,
        ..Biases::ALL
    },
    inner_dropout: 0.0,
};

impl GteConfig {
    fn head_dropout(&self) -> f64 {
        self.classifier_dropout.unwrap_or(self.hidden_dropout_prob)
    }

    fn theta(&self) -> f64 {
        let default = match self.model_type.as_str() {
            "gte" => 160_000.0,
            _ => 10_000.0,
        };
        theta(self.rope_parameters.as_ref(), self.rope_theta).unwrap_or(default)
    }

    /// The rotation. With the scaling `ntk`, the original code scales at every length, by another
    /// formula than that of transformers.
    fn rotary(&self) -> Rotary {
        let head_dim = self.hidden_size / self.num_attention_heads;
        let scaling = self.rope_scaling.as_ref().filter(|s| s.kind() == "ntk");
        match scaling.and_then(|scaling| scaling.factor) {
            Some(factor) => Rotary {
                scale: factor.powf(-2.0 / head_dim as f64),
                ..Rotary::new(head_dim, self.theta() * factor)
            },
            None => Rotary::new(head_dim, self.theta()),
        }
    }

    fn block(&self) -> Result<BlockConfig> {
        let heads = self.num_attention_heads;
        Ok(BlockConfig {
            width: self.hidden_size,
            inner: self.intermediate_size,
            attention: Attention {
                rotary: Some(self.rotary()),
                dropout: self.attention_probs_dropout_prob,
                ..Attention::new(heads, self.hidden_size / heads)
            },
            activation: Activation::from_name("hidden_act", &self.hidden_act)?,
            epsilon: self.layer_norm_eps,
            attention_dropout: self.hidden_dropout_prob,
            dropout: self.hidden_dropout_prob,
        })
    }

    fn check_variant(&self) -> Result<()> {
        let wrong = |key: &str, problem: String| {
            Err(NnError::config(format!("{key} in config.json"), problem))
        };
        if let Some(other) = self
            .position_embedding_type
            .as_deref()
            .filter(|t| *t != "rope")
        {
            let problem = format!("`{other}` is not supported; supported is rope");
            return wrong("position_embedding_type", problem);
        }
        if let Some(other) = self
            .layer_norm_type
            .as_deref()
            .filter(|t| *t != "layer_norm")
        {
            let problem = format!("`{other}` is not supported; supported is layer_norm");
            return wrong("layer_norm_type", problem);
        }
        if self.logn_attention_scale {
            let problem = "is true, but scores that depend on the length are not supported";
            return wrong("logn_attention_scale", problem.to_owned());
        }
        if self.pack_qkv == Some(false) {
            let problem = "is false, but only packed projections are supported";
            return wrong("pack_qkv", problem.to_owned());
        }
        if let Some(rotation) = &self.rope_parameters {
            // It changes nothing up to `max_position_embeddings` tokens.
            rotation.check("rope_parameters", &["dynamic"])?;
        }
        let Some(scaling) = &self.rope_scaling else {
            return Ok(());
        };
        scaling.check("rope_scaling", &["ntk"])?;
        match scaling.factor {
            Some(factor) if !(factor.is_finite() && factor >= 1.0) => wrong(
                "rope_scaling",
                format!("factor is {factor}, expected 1 or more"),
            ),
            None if scaling.kind() == "ntk" => wrong("rope_scaling", "has no factor".to_owned()),
            _ => Ok(()),
        }
    }
}

impl FamilyConfig for GteConfig {
    type Encoder = RelativeEncoder;

    const FIELDS: &'static [&'static str] = &[
        "attention_probs_dropout_prob",
        "auto_map",
        "classifier_dropout",
        "hidden_act",
        "hidden_dropout_prob",
        "hidden_size",
        "intermediate_size",
        "layer_norm_eps",
        "layer_norm_type",
        // Of the scores by length, which are refused.
        "logn_attention_clip1",
        "logn_attention_scale",
        "max_position_embeddings",
        "num_attention_heads",
        "num_hidden_layers",
        "pack_qkv",
        "position_embedding_type",
        "rope_parameters",
        "rope_scaling",
        "rope_theta",
        "type_vocab_size",
        // Two ways to compute the same.
        "unpad_inputs",
        "use_memory_efficient_attention",
        "vocab_size",
    ];

    const NAMES: TensorNames = TensorNames {
        prefixes: &["new", "gte"],
        anchor: "embeddings.word_embeddings.weight",
    };

    fn check(&self) -> Result<()> {
        AutoMap::check(self.auto_map.as_ref(), "New")?;
        check_heads(
            ("num_attention_heads", self.num_attention_heads),
            ("hidden_size", self.hidden_size),
        )?;
        check_layers("num_hidden_layers", self.num_hidden_layers)?;
        for (key, rate) in [
            ("hidden_dropout_prob", self.hidden_dropout_prob),
            (
                "attention_probs_dropout_prob",
                self.attention_probs_dropout_prob,
            ),
            ("classifier_dropout", self.head_dropout()),
        ] {
            check_rate(key, rate)?;
        }
        check_epsilon("layer_norm_eps", self.layer_norm_eps)?;
        Activation::from_name("hidden_act", &self.hidden_act)?;
        self.check_variant()?;
        let head_dim = self.hidden_size / self.num_attention_heads;
        check_rotation("rope_theta", self.theta(), head_dim)
    }

    fn max_length(&self) -> Result<usize> {
        Ok(self.max_position_embeddings)
    }

    fn head(&self) -> Result<FamilyHead> {
        Ok(FamilyHead::bert(self.num_hidden_layers))
    }

    fn load(&self, vb: &VarBuilder<'_>) -> Result<RelativeEncoder> {
        let config = RelativeConfig {
            vocabulary: self.vocab_size,
            token_types: self.type_vocab_size,
            width: self.hidden_size,
            layers: self.num_hidden_layers,
            norm: NormKind::Layer,
            epsilon: self.layer_norm_eps,
            max_length: self.max_position_embeddings,
            dropout: self.hidden_dropout_prob,
            head_dropout: self.head_dropout(),
        };
        let block = self.block()?;
        let form = BlockForm {
            inner_dropout: self.hidden_dropout_prob,
            ..FORM
        };
        RelativeEncoder::load(&config, &RelativeNames::BERT, vb, |_, vb| {
            Block::load_as(&form, BlockOrder::PostNorm, &block, &NAMES, vb)
        })
    }
}
