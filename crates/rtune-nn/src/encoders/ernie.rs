use crate::encoders::FamilyConfig;
use crate::encoders::absolute::{AbsoluteConfig, AbsoluteEncoder, AbsoluteNames};
use crate::encoders::bert::BertConfig;
use crate::encoders::fields::joined;
use crate::heads::FamilyHead;
use crate::{Result, TensorNames};
use candle_nn::VarBuilder;
use serde::Deserialize;

/// The settings of an ERNIE encoder (Sun et al., 2020), with Hugging Face's names and meanings.
///
/// The encoder is BERT's. A table of task types may be added to the embeddings; all texts are of
/// task 0, as in the reference if it is given no task types.
#[derive(Debug, Clone, Deserialize)]
pub struct ErnieConfig {
    /// The settings that ERNIE shares with BERT.
    #[serde(flatten)]
    pub bert: BertConfig,
    /// True if the model has a table of task types.
    #[serde(default)]
    pub use_task_id: bool,
    /// The number of task types.
    #[serde(default = "default_task_types")]
    pub task_type_vocab_size: usize,
}

fn default_task_types() -> usize {
    3
}

const FIELDS: [&str; BertConfig::FIELDS.len() + 2] =
    joined(BertConfig::FIELDS, &["task_type_vocab_size", "use_task_id"]);

impl FamilyConfig for ErnieConfig {
    type Encoder = AbsoluteEncoder;

    const FIELDS: &'static [&'static str] = &FIELDS;

    const NAMES: TensorNames = TensorNames {
        prefixes: &["ernie"],
        ..BertConfig::NAMES
    };

    fn check(&self) -> Result<()> {
        self.bert.check()
    }

    fn max_length(&self) -> Result<usize> {
        self.bert.max_length()
    }

    fn head(&self) -> Result<FamilyHead> {
        self.bert.head()
    }

    fn load(&self, vb: &VarBuilder<'_>) -> Result<AbsoluteEncoder> {
        let config = AbsoluteConfig {
            task_types: match self.use_task_id {
                true => self.task_type_vocab_size,
                false => 0,
            },
            ..self.bert.encoder()
        };
        self.bert.load_as(&config, &AbsoluteNames::BERT, vb)
    }
}
