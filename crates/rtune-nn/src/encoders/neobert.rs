use crate::encoders::bert::check_heads;
use crate::encoders::fields::{AutoMap, check_epsilon, check_layers, check_rate};
use crate::encoders::relative::{RelativeConfig, RelativeEncoder, RelativeNames};
use crate::encoders::{
    Biases, Block, BlockConfig, BlockForm, BlockNames, BlockOrder, FamilyConfig, FeedForwardForm,
    ProjectionForm,
};
use crate::heads::FamilyHead;
use crate::{
    Activation, Attention, GateOrder, NnError, NormKind, Result, Rotary, RotaryStyle, TensorNames,
};
use candle_nn::VarBuilder;
use serde::Deserialize;

/// The settings of a NeoBERT encoder (Le Breton et al., 2025), with the names and meanings of its
/// own code.
#[derive(Debug, Clone, Deserialize)]
#[expect(
    missing_docs,
    reason = "the names and meanings are those of NeoBERT's code"
)]
pub struct NeoBertConfig {
    pub vocab_size: usize,
    pub hidden_size: usize,
    pub num_hidden_layers: usize,
    pub num_attention_heads: usize,
    pub intermediate_size: usize,
    #[serde(default = "default_epsilon")]
    pub norm_eps: f64,
    pub max_length: usize,
    pub rope: Option<bool>,
    pub rms_norm: Option<bool>,
    pub hidden_act: Option<String>,
    #[serde(default)]
    pub dropout: f64,
    #[serde(default)]
    pub ngpt: bool,
    pub dim_head: Option<usize>,
    pub auto_map: Option<AutoMap>,
}

fn default_epsilon() -> f64 {
    1e-6
}

const NAMES: BlockNames = BlockNames {
    query: "qkv",
    key: "",
    value: "",
    attention_output: "wo",
    attention_norm: "attention_norm",
    up: "ffn.w12",
    down: "ffn.w3",
    feed_forward_norm: "ffn_norm",
};

const FORM: BlockForm = BlockForm {
    norm: NormKind::Rms,
    has_attention_norm: true,
    projections: ProjectionForm::ByHead,
    feed_forward: FeedForwardForm::Packed(GateOrder::GateFirst),
    biases: Biases::NONE,
    inner_dropout: 0.0,
};

/// The rate of dropout before each layer of the head, which the file does not state.
const HEAD_DROPOUT: f64 = 0.1;

impl NeoBertConfig {
    /// The width inside the feed-forward network: two thirds of what the file states, since the
    /// gate has parameters too, rounded up to a multiple of 8.
    fn inner(&self) -> usize {
        (2 * self.intermediate_size / 3).next_multiple_of(8)
    }

    fn block(&self) -> BlockConfig {
        let heads = self.num_attention_heads;
        let head_dim = self.hidden_size / heads;
        let rotary = Rotary {
            style: RotaryStyle::Pairs,
            ..Rotary::new(head_dim, 10_000.0)
        };
        BlockConfig {
            width: self.hidden_size,
            inner: self.inner(),
            attention: Attention {
                rotary: Some(rotary),
                ..Attention::new(heads, head_dim)
            },
            activation: Activation::Silu,
            epsilon: self.norm_eps,
            attention_dropout: self.dropout,
            dropout: self.dropout,
        }
    }
}

impl FamilyConfig for NeoBertConfig {
    type Encoder = RelativeEncoder;

    const FIELDS: &'static [&'static str] = &[
        "auto_map",
        // Of the variant `ngpt`, which is refused.
        "base_scale",
        // Of the initial weights, as the next and `embedding_init_range`.
        "classifier_init_range",
        "decoder_init_range",
        "dim_head",
        "dropout",
        "embedding_init_range",
        // A way to compute the same.
        "flash_attention",
        "hidden_act",
        "hidden_size",
        "intermediate_size",
        // In the published files, as `pretrained_model_name_or_path` and
        // `trust_remote_code`; the reference reads none of them.
        "kwargs",
        "max_length",
        "ngpt",
        "norm_eps",
        "num_attention_heads",
        "num_hidden_layers",
        "pretrained_model_name_or_path",
        "rms_norm",
        "rope",
        "trust_remote_code",
        "vocab_size",
    ];

    const NAMES: TensorNames = TensorNames {
        prefixes: &["model"],
        anchor: "encoder.weight",
    };

    fn check(&self) -> Result<()> {
        AutoMap::check(self.auto_map.as_ref(), "NeoBERT")?;
        check_heads(
            ("num_attention_heads", self.num_attention_heads),
            ("hidden_size", self.hidden_size),
        )?;
        check_layers("num_hidden_layers", self.num_hidden_layers)?;
        check_epsilon("norm_eps", self.norm_eps)?;
        check_rate("dropout", self.dropout)?;
        let head_dim = self.hidden_size / self.num_attention_heads;
        let wrong = |key: &str, problem: String| {
            Err(NnError::config(format!("{key} in config.json"), problem))
        };
        if self.rope == Some(false) {
            return wrong(
                "rope",
                "is false, but only rotary positions are supported".to_owned(),
            );
        }
        if self.ngpt {
            let problem = "is true, but normalized weights are not supported";
            return wrong("ngpt", problem.to_owned());
        }
        if self.rms_norm == Some(false) {
            let problem = "is false, but only RMS normalizations are supported";
            return wrong("rms_norm", problem.to_owned());
        }
        if let Some(other) = self
            .hidden_act
            .as_deref()
            .filter(|act| !act.eq_ignore_ascii_case("swiglu"))
        {
            let problem = format!("`{other}` is not supported; supported is swiglu");
            return wrong("hidden_act", problem);
        }
        if let Some(other) = self.dim_head.filter(|found| *found != head_dim) {
            return wrong("dim_head", format!("is {other}, expected {head_dim}"));
        }
        match head_dim.is_multiple_of(2) {
            true => Ok(()),
            false => wrong(
                "num_attention_heads",
                format!("gives heads of width {head_dim}, but rotary positions need an even one"),
            ),
        }
    }

    fn max_length(&self) -> Result<usize> {
        Ok(self.max_length)
    }

    fn head(&self) -> Result<FamilyHead> {
        Ok(FamilyHead {
            dense: "dense",
            output: "classifier",
            ..FamilyHead::roberta(HEAD_DROPOUT)
        })
    }

    fn load(&self, vb: &VarBuilder<'_>) -> Result<RelativeEncoder> {
        let config = RelativeConfig {
            vocabulary: self.vocab_size,
            token_types: 0,
            width: self.hidden_size,
            layers: self.num_hidden_layers,
            norm: NormKind::Rms,
            epsilon: self.norm_eps,
            max_length: self.max_length,
            dropout: 0.0,
            head_dropout: HEAD_DROPOUT,
        };
        let names = RelativeNames {
            words: "encoder",
            norm: None,
            layers: "transformer_encoder",
            final_norm: Some("layer_norm"),
            ..RelativeNames::BERT
        };
        let block = self.block();
        RelativeEncoder::load(&config, &names, vb, |_, vb| {
            Block::load_as(&FORM, BlockOrder::PreNorm, &block, &NAMES, vb)
        })
    }
}
