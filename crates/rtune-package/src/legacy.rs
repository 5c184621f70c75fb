//! Recognition of folders that builds without a marker wrote. These lists are frozen: a new file
//! is named by the marker of its folder.

use crate::layout;

/// Names at the top of the outputs.
pub(crate) const OUTPUTS: [&str; 13] = [
    layout::METADATA,
    layout::METRICS,
    layout::FINAL,
    layout::WEIGHTS,
    layout::CHECKPOINTS,
    layout::ONNX,
    layout::QUANTIZATION,
    layout::CONFIG,
    layout::TOKENIZER,
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.txt",
    "added_tokens.json",
];

/// Files of which an output had at least one.
pub(crate) const SIGNS: [&str; 3] = [layout::METADATA, layout::METRICS, layout::QUANTIZATION];
