//! A BERT of random weights: speed does not depend on them.

use anyhow::{Context as _, Result};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::{Map, json};
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

/// The sizes of a BERT.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    pub(super) name: &'static str,
    pub(super) hidden: usize,
    pub(super) layers: usize,
    pub(super) heads: usize,
}

pub(super) const MINILM: Shape = Shape {
    name: "MiniLM-L6",
    hidden: 384,
    layers: 6,
    heads: 12,
};
pub(super) const BASE: Shape = Shape {
    name: "BERT-base",
    hidden: 768,
    layers: 12,
    heads: 12,
};

const VOCABULARY: usize = 30_522;

impl Shape {
    /// The floating-point operations of a training step for each token: six for each weight of a
    /// product, and twelve for each pair of tokens and element in attention.
    pub(super) fn operations_per_token(self, sequence: usize) -> f64 {
        let weights = self.layers * 12 * self.hidden * self.hidden;
        (6 * weights + 12 * self.layers * sequence * self.hidden) as f64
    }

    fn tensors(self) -> Vec<(String, Vec<usize>)> {
        let (h, f) = (self.hidden, 4 * self.hidden);
        let mut all = vec![
            (
                "embeddings.word_embeddings.weight".to_owned(),
                vec![VOCABULARY, h],
            ),
            (
                "embeddings.position_embeddings.weight".to_owned(),
                vec![512, h],
            ),
            (
                "embeddings.token_type_embeddings.weight".to_owned(),
                vec![2, h],
            ),
        ];
        let norm = |name: &str| format!("{name}.LayerNorm");
        let mut pair = |name: String, dims: &[usize]| {
            all.push((format!("{name}.weight"), dims.to_vec()));
            all.push((format!("{name}.bias"), vec![dims[0]]));
        };
        pair(norm("embeddings"), &[h]);
        for layer in 0..self.layers {
            let place = format!("encoder.layer.{layer}");
            for name in ["query", "key", "value"] {
                pair(format!("{place}.attention.self.{name}"), &[h, h]);
            }
            pair(format!("{place}.attention.output.dense"), &[h, h]);
            pair(norm(&format!("{place}.attention.output")), &[h]);
            pair(format!("{place}.intermediate.dense"), &[f, h]);
            pair(format!("{place}.output.dense"), &[h, f]);
            pair(norm(&format!("{place}.output")), &[h]);
        }
        all
    }
}

/// Writes a model folder; the tokenizer is that of another one.
pub(super) fn write(folder: &Path, shape: Shape, tokenizer: &Path) -> Result<()> {
    if folder.exists() {
        return Ok(());
    }
    std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    for name in ["tokenizer.json", "tokenizer_config.json"] {
        let source = tokenizer.join(name);
        if source.exists() {
            std::fs::copy(&source, folder.join(name))?;
        }
    }
    let config = json!({
        "model_type": "bert", "architectures": ["BertModel"], "vocab_size": VOCABULARY,
        "hidden_size": shape.hidden, "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads, "intermediate_size": 4 * shape.hidden,
        "hidden_act": "gelu", "hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1,
        "max_position_embeddings": 512, "type_vocab_size": 2, "layer_norm_eps": 1e-12,
        "pad_token_id": 0, "position_embedding_type": "absolute",
    });
    std::fs::write(folder.join("config.json"), config.to_string())?;
    weights(&folder.join("model.safetensors"), shape)
}

fn weights(path: &Path, shape: Shape) -> Result<()> {
    let tensors = shape.tensors();
    let (mut header, mut end) = (Map::new(), 0);
    for (name, dims) in &tensors {
        let start = end;
        end += 4 * dims.iter().product::<usize>();
        let entry = json!({ "dtype": "F32", "shape": dims, "data_offsets": [start, end] });
        header.insert(name.clone(), entry);
    }
    let header = serde_json::to_string(&header)?;
    let mut file = BufWriter::new(File::create(path)?);
    file.write_all(&(header.len() as u64).to_le_bytes())?;
    file.write_all(header.as_bytes())?;
    let mut random = ChaCha8Rng::seed_from_u64(1);
    for (name, dims) in &tensors {
        for _ in 0..dims.iter().product::<usize>() {
            // Uniform, with the standard deviation 0.02 of BERT's own.
            let value: f32 = match dims.len() {
                1 if name.ends_with("LayerNorm.weight") => 1.0,
                1 => 0.0,
                _ => 0.069_28 * (random.random::<f32>() - 0.5),
            };
            file.write_all(&value.to_le_bytes())?;
        }
    }
    Ok(file.flush()?)
}
