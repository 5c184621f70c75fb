use std::fmt;

/// The tensors of a checkpoint that do not fit a model.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WeightFaults {
    /// Tensors of the encoder that the checkpoint lacks.
    pub missing: Vec<String>,
    /// Tensor, shape by the config, shape in the checkpoint.
    pub mismatched: Vec<(String, Vec<usize>, Vec<usize>)>,
    /// Tensor, its element type, which is not supported.
    pub unreadable: Vec<(String, String)>,
    /// Tensors of the checkpoint that are not part of the model.
    pub unused: Vec<String>,
}

impl fmt::Display for WeightFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts: Vec<String> = self
            .mismatched
            .iter()
            .take(SHOWN)
            .map(|(name, expected, found)| {
                format!("tensor `{name}` has shape {found:?}, config.json asks for {expected:?}")
            })
            .collect();
        if self.mismatched.len() > SHOWN {
            parts.push(format!(
                "{} more tensors differ in shape",
                self.mismatched.len() - SHOWN
            ));
        }
        if let Some((name, kind)) = self.unreadable.first() {
            let more = match self.unreadable.len() - 1 {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            parts.push(format!(
            "tensor `{name}`{more}: elements of type {kind} are not supported, only F64, F32, F16 \
             and BF16; take the model from before its quantization"
        ));
        }
        if !self.missing.is_empty() {
            let reason = if self
                .missing
                .iter()
                .any(|name| name.contains("word_embeddings"))
                && !self.unused.is_empty()
            {
                let found = some(&self.unused);
                format!("found are {found}; is this the right model_type in config.json?")
            } else {
                "the weights are incomplete, or config.json belongs to others".to_owned()
            };
            parts.push(format!(
                "tensors of the encoder are missing: {}; {reason}",
                some(&self.missing)
            ));
        }
        f.write_str(&parts.join("; "))
    }
}

/// The number of names that a message shows.
const SHOWN: usize = 3;

/// The first names of a list, and the number of the others.
fn some(names: &[String]) -> String {
    let shown = names.iter().take(SHOWN).map(|name| format!("`{name}`"));
    let shown = shown.collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
