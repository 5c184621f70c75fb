use crate::encoders::bert::BertConfig;
use crate::encoders::fields::{AutoMap, joined};
use crate::encoders::relative::{RelativeConfig, RelativeEncoder, RelativeNames};
use crate::encoders::{
    Biases, Block, BlockForm, BlockNames, BlockOrder, FamilyConfig, FeedForwardForm,
};
use crate::heads::FamilyHead;
use crate::{
    Activation, Attention, GateOrder, NnError, NormKind, PositionBias, Result, TensorNames,
};
use candle_nn::VarBuilder;
use serde::Deserialize;

/// The settings of a Jina v2 encoder (Günther et al., 2023), with the names and meanings of its own
/// code: those of BERT, with `position_embedding_type` `alibi`. Its `model_type` is BERT's.
#[derive(Debug, Clone, Deserialize)]
pub struct JinaBertConfig {
    /// The settings that Jina shares with BERT.
    #[serde(flatten)]
    pub bert: BertConfig,
    /// `geglu` or `reglu`.
    #[serde(default = "default_feed_forward")]
    pub feed_forward_type: String,
    /// The origin of the code.
    pub auto_map: Option<AutoMap>,
}

fn default_feed_forward() -> String {
    "original".to_owned()
}

const FIELDS: [&str; BertConfig::FIELDS.len() + 4] = joined(
    BertConfig::FIELDS,
    &[
        "auto_map",
        "feed_forward_type",
        // How its own code pools, and the limit of its tokenizer.
        "emb_pooler",
        "model_max_length",
    ],
);

const NAMES: BlockNames = BlockNames {
    up: "mlp.gated_layers",
    down: "mlp.wo",
    feed_forward_norm: "mlp.layernorm",
    ..BlockNames::BERT
};

impl JinaBertConfig {
    fn activation(&self) -> Result<Activation> {
        match self.feed_forward_type.as_str() {
            "geglu" => Ok(Activation::Gelu),
            "reglu" => Ok(Activation::Relu),
            other => Err(NnError::config(
                "feed_forward_type in config.json",
                format!("`{other}` is not supported with alibi; supported are geglu and reglu"),
            )),
        }
    }
}

impl FamilyConfig for JinaBertConfig {
    type Encoder = RelativeEncoder;

    const FIELDS: &'static [&'static str] = &FIELDS;

    const NAMES: TensorNames = BertConfig::NAMES;

    fn check(&self) -> Result<()> {
        AutoMap::check(self.auto_map.as_ref(), "JinaBert")?;
        if let Some(map) = &self.auto_map
            && map.names("qk-post-norm")
        {
            return Err(NnError::config(
                "auto_map in config.json",
                "the model normalizes queries and keys, as jina-embeddings-v2-base-code, which \
                 rtune does not compute",
            ));
        }
        self.activation()?;
        let absolute = BertConfig {
            position_embedding_type: None,
            ..self.bert.clone()
        };
        absolute.check()
    }

    fn max_length(&self) -> Result<usize> {
        self.bert.max_length()
    }

    fn head(&self) -> Result<FamilyHead> {
        self.bert.head()
    }

    fn load(&self, vb: &VarBuilder<'_>) -> Result<RelativeEncoder> {
        let bert = &self.bert;
        let config = RelativeConfig {
            vocabulary: bert.vocab_size,
            token_types: bert.type_vocab_size,
            width: bert.hidden_size,
            layers: bert.num_hidden_layers,
            norm: NormKind::Layer,
            epsilon: bert.layer_norm_eps,
            max_length: bert.max_position_embeddings,
            dropout: bert.hidden_dropout_prob,
            head_dropout: bert.head_dropout(),
        };
        let mut block = bert.block()?;
        block.activation = self.activation()?;
        block.attention = Attention {
            bias: Some(PositionBias::alibi(bert.num_attention_heads)),
            ..block.attention
        };
        block.dropout = 0.0;
        let form = BlockForm {
            feed_forward: FeedForwardForm::Packed(GateOrder::GateFirst),
            biases: Biases {
                up: false,
                ..Biases::ALL
            },
            inner_dropout: bert.hidden_dropout_prob,
            ..BlockForm::default()
        };
        RelativeEncoder::load(&config, &RelativeNames::BERT, vb, |_, vb| {
            Block::load_as(&form, BlockOrder::PostNorm, &block, &NAMES, vb)
        })
    }
}
