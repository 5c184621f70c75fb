//! Text to token ids to batches of plain integers.
//!
//! ```
//! use rtune_text::{Encoded, PaddedBatch, PackedBatch};
//!
//! let texts = [Encoded::new(vec![101, 7, 102]), Encoded::new(vec![101, 102])];
//! let padded = PaddedBatch::new(texts.iter(), 0);
//! assert_eq!(padded.input_ids, [101, 7, 102, 101, 102, 0]);
//! let packed = PackedBatch::new(texts.iter())?;
//! assert_eq!((packed.input_ids.len(), packed.offsets), (5, vec![0, 3, 5]));
//! # Ok::<(), rtune_text::TextError>(())
//! ```
//!
//! # Design
//!
//! Batches are vectors of integers, so that training, calibration and serving share them without
//! sharing a tensor library. A tokenizer's own truncation and padding are switched off, because
//! many published `tokenizer.json` files silently cut or pad to 128 tokens. A text whose tokens are
//! all unknown is an error: nothing can be learned from it, and usually the tokenizer is the wrong
//! one. The order of batches depends on the lengths and a seed, nothing else.
//!
//! A pair of texts is one sequence of tokens. The tokenizer's own template puts tokens between both
//! and gives them types; a tokenizer without such a template is refused, because a model could not
//! tell where the second text begins.

mod batch;
mod build;
mod encoded;
mod error;
mod guard;
mod order;
mod pairs;
mod rules;
mod settings;
mod text;
mod tokenizer;

pub use batch::{PackedBatch, PaddedBatch};
pub use encoded::Encoded;
pub use error::TextError;
pub use guard::{guarded, panic_becomes_error};
pub use order::{length_grouped, sorted_by_length};
pub use text::Text;
pub use tokenizer::{EmbeddingTables, Tokenizer, TokenizerChange};
