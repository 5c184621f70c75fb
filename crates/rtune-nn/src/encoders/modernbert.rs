use crate::encoders::bert::{check_heads, default_activation};
use crate::encoders::fields::{check_epsilon, check_layers, check_rate};
use crate::encoders::relative::{RelativeConfig, RelativeEncoder, RelativeNames};
use crate::encoders::rope::{RopeParameters, check_rotation};
use crate::encoders::{
    Biases, Block, BlockConfig, BlockForm, BlockNames, BlockOrder, FamilyConfig, FeedForwardForm,
    ProjectionForm,
};
use crate::heads::{FamilyHead, HeadNorm, Reduction, reduction};
use crate::{Activation, Attention, GateOrder, NnError, NormKind, Result, Rotary, TensorNames};
use candle_nn::VarBuilder;
use serde::Deserialize;

/// The settings of a ModernBERT encoder (Warner et al., 2024), with Hugging Face's names and
/// meanings. Ettin, mmBERT and gte-modernbert have the same.
///
/// Every third layer attends to all tokens, the others to those within half of `local_attention`;
/// each kind has a theta of its own. Transformers 5 writes `layer_types` and `rope_parameters` in
/// place of `global_attn_every_n_layers` and the two thetas.
#[derive(Debug, Clone, Deserialize)]
#[expect(missing_docs, reason = "the names and meanings are Hugging Face's")]
pub struct ModernBertConfig {
    pub vocab_size: usize,
    pub hidden_size: usize,
    pub num_hidden_layers: usize,
    pub num_attention_heads: usize,
    pub intermediate_size: usize,
    #[serde(default = "default_activation")]
    pub hidden_activation: String,
    pub max_position_embeddings: usize,
    #[serde(default = "default_epsilon")]
    pub norm_eps: f64,
    #[serde(default)]
    pub norm_bias: bool,
    #[serde(default)]
    pub attention_bias: bool,
    #[serde(default)]
    pub mlp_bias: bool,
    #[serde(default)]
    pub attention_dropout: f64,
    #[serde(default)]
    pub embedding_dropout: f64,
    #[serde(default)]
    pub mlp_dropout: f64,
    #[serde(default)]
    pub classifier_dropout: f64,
    pub classifier_pooling: Option<String>,
    #[serde(default = "default_activation")]
    pub classifier_activation: String,
    #[serde(default)]
    pub classifier_bias: bool,
    #[serde(default = "default_local_attention")]
    pub local_attention: usize,
    pub global_attn_every_n_layers: Option<usize>,
    pub layer_types: Option<Vec<String>>,
    pub global_rope_theta: Option<f64>,
    pub local_rope_theta: Option<f64>,
    pub rope_parameters: Option<LayerRotations>,
    pub rope_scaling: Option<RopeParameters>,
}

/// The rotations of both kinds of layers.
#[derive(Debug, Clone, Default, Deserialize)]
#[expect(missing_docs, reason = "the names and meanings are Hugging Face's")]
pub struct LayerRotations {
    pub full_attention: Option<RopeParameters>,
    pub sliding_attention: Option<RopeParameters>,
}

fn default_epsilon() -> f64 {
    1e-5
}

fn default_local_attention() -> usize {
    128
}

/// The modules of a layer.
const NAMES: BlockNames = BlockNames {
    query: "attn.Wqkv",
    key: "",
    value: "",
    attention_output: "attn.Wo",
    attention_norm: "attn_norm",
    up: "mlp.Wi",
    down: "mlp.Wo",
    feed_forward_norm: "mlp_norm",
};

impl ModernBertConfig {
    /// True for layers that attend to all tokens.
    fn is_global(&self, layer: usize) -> bool {
        match &self.layer_types {
            Some(types) => types.get(layer).is_some_and(|kind| kind == FULL),
            None => layer.is_multiple_of(self.global_attn_every_n_layers.unwrap_or(3)),
        }
    }

    /// The theta of global or local layers. Without one for the local layers, they have the global
    /// one if that is stated, as in transformers 4.
    fn theta(&self, is_global: bool) -> f64 {
        let rotations = self.rope_parameters.as_ref();
        let of = |rotation: Option<&RopeParameters>| rotation.and_then(|found| found.rope_theta);
        let global = of(rotations.and_then(|found| found.full_attention.as_ref()))
            .or(self.global_rope_theta);
        if is_global {
            return global.unwrap_or(160_000.0);
        }
        let local = of(rotations.and_then(|found| found.sliding_attention.as_ref()))
            .or(self.local_rope_theta);
        local.or(global).unwrap_or(10_000.0)
    }

    fn norm(&self) -> NormKind {
        match self.norm_bias {
            true => NormKind::Layer,
            false => NormKind::LayerWithoutBias,
        }
    }

    fn block(&self, layer: usize) -> Result<BlockConfig> {
        let heads = self.num_attention_heads;
        let head_dim = self.hidden_size / heads;
        let is_global = self.is_global(layer);
        Ok(BlockConfig {
            width: self.hidden_size,
            inner: self.intermediate_size,
            attention: Attention {
                rotary: Some(Rotary::new(head_dim, self.theta(is_global))),
                window: (!is_global).then_some(self.local_attention / 2),
                dropout: self.attention_dropout,
                ..Attention::new(heads, head_dim)
            },
            activation: Activation::from_name("hidden_activation", &self.hidden_activation)?,
            epsilon: self.norm_eps,
            attention_dropout: self.attention_dropout,
            dropout: 0.0,
        })
    }

    fn form(&self, layer: usize) -> BlockForm {
        BlockForm {
            norm: self.norm(),
            // The embeddings are normalized.
            has_attention_norm: layer > 0,
            projections: ProjectionForm::Stacked,
            feed_forward: FeedForwardForm::Packed(GateOrder::GateFirst),
            biases: Biases {
                projections: self.attention_bias,
                attention_output: self.attention_bias,
                up: self.mlp_bias,
                down: self.mlp_bias,
            },
            inner_dropout: self.mlp_dropout,
        }
    }

    fn check_layer_types(&self) -> Result<()> {
        let wrong =
            |key: &str, problem| Err(NnError::config(format!("{key} in config.json"), problem));
        if self.global_attn_every_n_layers == Some(0) {
            return wrong(
                "global_attn_every_n_layers",
                "is 0, expected 1 or more".to_owned(),
            );
        }
        let Some(types) = &self.layer_types else {
            return Ok(());
        };
        if types.len() != self.num_hidden_layers {
            let problem = format!(
                "has {} elements for {} layers",
                types.len(),
                self.num_hidden_layers
            );
            return wrong("layer_types", problem);
        }
        match types
            .iter()
            .find(|kind| ![FULL, SLIDING].contains(&kind.as_str()))
        {
            None => Ok(()),
            Some(kind) => wrong(
                "layer_types",
                format!("`{kind}` is not supported; supported are {FULL} and {SLIDING}"),
            ),
        }
    }
}

/// The values of `classifier_pooling`.
const POOLINGS: [(&str, Reduction); 2] = [("cls", Reduction::First), ("mean", Reduction::Mean)];

const FULL: &str = "full_attention";
const SLIDING: &str = "sliding_attention";

impl FamilyConfig for ModernBertConfig {
    type Encoder = RelativeEncoder;

    const FIELDS: &'static [&'static str] = &[
        "attention_bias",
        "attention_dropout",
        "classifier_activation",
        "classifier_bias",
        "classifier_dropout",
        "classifier_pooling",
        "embedding_dropout",
        "global_attn_every_n_layers",
        "global_rope_theta",
        "hidden_activation",
        "hidden_size",
        "intermediate_size",
        // In the published files; the reference reads `norm_eps`.
        "layer_norm_eps",
        "layer_types",
        "local_attention",
        "local_rope_theta",
        "max_position_embeddings",
        "mlp_bias",
        "mlp_dropout",
        "norm_bias",
        "norm_eps",
        "num_attention_heads",
        "num_hidden_layers",
        // In files of mmBERT; the reference does not read it.
        "position_embedding_type",
        "rope_parameters",
        "rope_scaling",
        "vocab_size",
    ];

    const NAMES: TensorNames = TensorNames {
        prefixes: &["model"],
        anchor: "embeddings.tok_embeddings.weight",
    };

    fn check(&self) -> Result<()> {
        check_heads(
            ("num_attention_heads", self.num_attention_heads),
            ("hidden_size", self.hidden_size),
        )?;
        check_layers("num_hidden_layers", self.num_hidden_layers)?;
        for (key, rate) in [
            ("attention_dropout", self.attention_dropout),
            ("embedding_dropout", self.embedding_dropout),
            ("mlp_dropout", self.mlp_dropout),
            ("classifier_dropout", self.classifier_dropout),
        ] {
            check_rate(key, rate)?;
        }
        check_epsilon("norm_eps", self.norm_eps)?;
        Activation::from_name("hidden_activation", &self.hidden_activation)?;
        self.check_layer_types()?;
        if let Some(scaling) = &self.rope_scaling {
            scaling.check("rope_scaling", &[])?;
        }
        let rotations = self.rope_parameters.iter();
        for rotation in rotations.flat_map(|r| [&r.full_attention, &r.sliding_attention]) {
            rotation
                .iter()
                .try_for_each(|r| r.check("rope_parameters", &[]))?;
        }
        let head_dim = self.hidden_size / self.num_attention_heads;
        check_rotation("global_rope_theta", self.theta(true), head_dim)?;
        check_rotation("local_rope_theta", self.theta(false), head_dim)
    }

    fn max_length(&self) -> Result<usize> {
        Ok(self.max_position_embeddings)
    }

    fn head(&self) -> Result<FamilyHead> {
        let pooling = self.classifier_pooling.as_deref().unwrap_or("cls");
        Ok(FamilyHead {
            reduction: reduction("classifier_pooling", pooling, &POOLINGS)?,
            dense: "head.dense",
            has_bias: self.classifier_bias,
            activation: Activation::from_name(
                "classifier_activation",
                &self.classifier_activation,
            )?,
            norm: Some(HeadNorm {
                name: "head.norm",
                kind: self.norm(),
                epsilon: self.norm_eps,
            }),
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
            norm: self.norm(),
            epsilon: self.norm_eps,
            max_length: self.max_position_embeddings,
            dropout: self.embedding_dropout,
            head_dropout: self.classifier_dropout,
        };
        let names = RelativeNames {
            words: "embeddings.tok_embeddings",
            norm: Some("embeddings.norm"),
            layers: "layers",
            final_norm: Some("final_norm"),
            ..RelativeNames::BERT
        };
        RelativeEncoder::load(&config, &names, vb, |index, vb| {
            let (form, block) = (self.form(index), self.block(index)?);
            Block::load_as(&form, BlockOrder::PreNorm, &block, &NAMES, vb)
        })
    }
}
