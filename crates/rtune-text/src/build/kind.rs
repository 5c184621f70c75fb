//! Kinds of tokenizers, which differ in their files and in the tokens around a text.

use crate::settings::Settings;

/// A kind of tokenizer, named as Hugging Face's classes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Bert,
    MpNet,
    Roberta,
    XlmRoberta,
    Camembert,
    Albert,
    DebertaV2,
}

/// The names of tokenizer classes, without the suffix `Fast`.
const CLASSES: [(&str, Kind); 10] = [
    ("BertTokenizer", Kind::Bert),
    ("DistilBertTokenizer", Kind::Bert),
    ("ElectraTokenizer", Kind::Bert),
    ("MobileBertTokenizer", Kind::Bert),
    ("MPNetTokenizer", Kind::MpNet),
    ("RobertaTokenizer", Kind::Roberta),
    ("XLMRobertaTokenizer", Kind::XlmRoberta),
    ("CamembertTokenizer", Kind::Camembert),
    ("AlbertTokenizer", Kind::Albert),
    ("DebertaV2Tokenizer", Kind::DebertaV2),
];

/// The names of families of encoders whose models have a tokenizer of the kind.
const FAMILIES: [(&str, Kind); 17] = [
    ("albert", Kind::Albert),
    ("bert", Kind::Bert),
    ("camembert", Kind::Camembert),
    ("data2vec-text", Kind::Roberta),
    ("deberta-v2", Kind::DebertaV2),
    ("distilbert", Kind::Bert),
    ("electra", Kind::Bert),
    ("ernie", Kind::Bert),
    ("gte", Kind::Bert),
    ("megatron-bert", Kind::Bert),
    ("modernbert", Kind::Bert),
    ("mpnet", Kind::MpNet),
    ("neobert", Kind::Bert),
    ("new", Kind::Bert),
    ("nomic_bert", Kind::Bert),
    ("roberta", Kind::Roberta),
    ("xlm-roberta", Kind::XlmRoberta),
];

/// The tokens that a text does not have, by their settings, with their names in this kind; the
/// first three are needed.
pub(super) type SpecialTokens = [(&'static str, &'static str); 5];

impl Kind {
    /// The kind that the settings beside a tokenizer state, or else that of the model's family.
    /// The class of all tokenizers that are read from `tokenizer.json` states nothing.
    pub(super) fn of(settings: &Settings) -> Option<Self> {
        let find = |table: &[(&str, Self)], name: &str| {
            let found = table.iter().find(|(known, _)| *known == name);
            found.map(|(_, kind)| *kind)
        };
        match settings.class() {
            Some(class) => find(&CLASSES, class),
            None => find(&FAMILIES, settings.family()?),
        }
    }

    /// The names of special tokens, if the settings state no others.
    pub(super) fn tokens(self) -> SpecialTokens {
        let names = match self {
            Self::Bert | Self::DebertaV2 => ["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"],
            Self::MpNet => ["[UNK]", "<s>", "</s>", "<pad>", "<mask>"],
            Self::Roberta | Self::XlmRoberta | Self::Camembert => {
                ["<unk>", "<s>", "</s>", "<pad>", "<mask>"]
            }
            Self::Albert => ["<unk>", "[CLS]", "[SEP]", "<pad>", "[MASK]"],
        };
        let [unknown, first, last, padding, mask] = names;
        [
            ("unk_token", unknown),
            ("cls_token", first),
            ("sep_token", last),
            ("pad_token", padding),
            ("mask_token", mask),
        ]
    }

    /// True if the token that stands for a hidden word includes the space before it.
    pub(super) fn mask_includes_space(self) -> bool {
        !matches!(self, Self::Bert | Self::DebertaV2)
    }
}
