use crate::encoders::FamilyConfig;
use crate::encoders::absolute::{AbsoluteConfig, AbsoluteEncoder, AbsoluteNames};
use crate::encoders::bert::BertConfig;
use crate::encoders::fields::{check_width, joined};
use crate::heads::FamilyHead;
use crate::{Activation, Result, TensorNames};
use candle_nn::VarBuilder;
use serde::Deserialize;

/// The settings of an ELECTRA encoder (Clark et al., 2020), with Hugging Face's names and meanings.
///
/// The encoder is BERT's without the pooler. If embeddings have another width than layers, a linear
/// layer stands between them.
#[derive(Debug, Clone, Deserialize)]
pub struct ElectraConfig {
    /// The settings that ELECTRA shares with BERT.
    #[serde(flatten)]
    pub bert: BertConfig,
    /// The width of the embeddings.
    #[serde(default = "default_embedding_size")]
    pub embedding_size: usize,
}

fn default_embedding_size() -> usize {
    128
}

const FIELDS: [&str; BertConfig::FIELDS.len() + 1] =
    joined(BertConfig::FIELDS, &["embedding_size"]);

impl FamilyConfig for ElectraConfig {
    type Encoder = AbsoluteEncoder;

    const FIELDS: &'static [&'static str] = &FIELDS;

    const NAMES: TensorNames = TensorNames {
        prefixes: &["electra"],
        ..BertConfig::NAMES
    };

    fn check(&self) -> Result<()> {
        self.bert.check()?;
        check_width("embedding_size", self.embedding_size)
    }

    fn max_length(&self) -> Result<usize> {
        self.bert.max_length()
    }

    fn head(&self) -> Result<FamilyHead> {
        Ok(FamilyHead {
            // Whatever `hidden_act` is.
            activation: Activation::Gelu,
            ..FamilyHead::roberta(self.bert.head_dropout())
        })
    }

    fn load(&self, vb: &VarBuilder<'_>) -> Result<AbsoluteEncoder> {
        let config = AbsoluteConfig {
            embedding_width: self.embedding_size,
            ..self.bert.encoder()
        };
        let is_wider = self.embedding_size != self.bert.hidden_size;
        let names = AbsoluteNames {
            projection: is_wider.then_some("embeddings_project"),
            ..AbsoluteNames::BERT
        };
        self.bert.load_as(&config, &names, vb)
    }
}
