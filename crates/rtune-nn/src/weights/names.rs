use std::collections::BTreeSet;

/// The names of tensors in the checkpoints of a family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TensorNames {
    /// The prefixes that Hugging Face's models with a head put before the encoder's names.
    pub prefixes: &'static [&'static str],
    /// The name of a tensor that every checkpoint has. The text before it is the prefix of a
    /// checkpoint.
    pub anchor: &'static str,
}

impl TensorNames {
    /// The prefix of a checkpoint's names, with the dot at its end: that of the anchor.
    ///
    /// # Errors
    /// If several encoders are in the checkpoint, with their prefixes.
    pub(crate) fn prefix<'a>(
        &self,
        names: impl Iterator<Item = &'a str>,
    ) -> Result<String, Vec<String>> {
        let before_anchor = names.filter_map(|name| name.strip_suffix(self.anchor));
        let found: BTreeSet<&str> = before_anchor
            .filter(|prefix| prefix.is_empty() || prefix.ends_with('.'))
            .collect();
        let usual = self.prefixes.iter().map(|prefix| format!("{prefix}."));
        let usual = std::iter::once(String::new()).chain(usual);
        for prefix in usual {
            if found.contains(prefix.as_str()) {
                return Ok(prefix);
            }
        }
        match found.iter().collect::<Vec<_>>()[..] {
            [] => Ok(String::new()),
            [only] => Ok((*only).to_owned()),
            _ => Err(found.into_iter().map(str::to_owned).collect()),
        }
    }

    /// The prefix, with the dot at its end, that Hugging Face's models of a `model_type` with a
    /// head put before the encoder's names.
    pub(crate) fn of_classes(&self, model_type: &str) -> String {
        let own = model_type.replace('-', "_");
        let own = self.prefixes.iter().find(|prefix| **prefix == own);
        match own.or(self.prefixes.first()) {
            Some(prefix) => format!("{prefix}."),
            None => String::new(),
        }
    }

    /// The text before a usual prefix: the names of a head have it, too.
    pub(crate) fn outer<'a>(&self, prefix: &'a str) -> &'a str {
        let mut usual = self.prefixes.iter().filter_map(|usual| {
            let outer = prefix.strip_suffix('.')?.strip_suffix(usual)?;
            outer.ends_with('.').then_some(outer)
        });
        usual.next().unwrap_or("")
    }

    /// True if a prefix is one that Hugging Face's models with a head have.
    pub(crate) fn is_usual(&self, prefix: &str) -> bool {
        let bare = prefix.trim_end_matches('.');
        bare.is_empty() || self.prefixes.contains(&bare)
    }
}

/// A tensor's name with today's names of a normalization's parameters: checkpoints from TensorFlow
/// times call them `gamma` and `beta`.
pub(crate) fn modern(name: &str) -> String {
    match name.rsplit_once('.') {
        Some((module, "gamma")) => format!("{module}.weight"),
        Some((module, "beta")) => format!("{module}.bias"),
        _ => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_names_are_replaced() {
        for (name, expected) in [
            ("embeddings.LayerNorm.gamma", "embeddings.LayerNorm.weight"),
            (
                "bert.embeddings.LayerNorm.beta",
                "bert.embeddings.LayerNorm.bias",
            ),
            ("gamma", "gamma"),
            ("encoder.layer.0.weight", "encoder.layer.0.weight"),
        ] {
            assert_eq!(modern(name), expected);
        }
    }

    #[test]
    fn the_anchor_shows_the_prefix() {
        let names = TensorNames {
            prefixes: &["bert"],
            anchor: "words.weight",
        };
        let cases: [(&[&str], Result<&str, &[&str]>); 8] = [
            (&["words.weight", "layer.0.weight"], Ok("")),
            (&["bert.words.weight", "classifier.weight"], Ok("bert.")),
            (
                &["module._orig_mod.bert.words.weight"],
                Ok("module._orig_mod.bert."),
            ),
            (&["0.auto_model.words.weight", "words"], Ok("0.auto_model.")),
            // The encoder itself and that of a usual model come before others.
            (&["teacher.words.weight", "words.weight"], Ok("")),
            (&["teacher.words.weight", "bert.words.weight"], Ok("bert.")),
            (&["a.words.weight", "b.words.weight"], Err(&["a.", "b."])),
            (&["keywords.weight"], Ok("")),
        ];
        for (found, expected) in cases {
            let found = names.prefix(found.iter().copied());
            let expected = expected.map(str::to_owned);
            let expected = expected.map_err(|all| all.iter().map(|p| (*p).to_owned()).collect());
            assert_eq!(found, expected);
        }
        for (prefix, outer) in [
            ("module.bert.", "module."),
            ("bert.", ""),
            ("xbert.", ""),
            ("module.", ""),
        ] {
            assert_eq!(names.outer(prefix), outer, "{prefix}");
        }
        let group = TensorNames {
            prefixes: &["roberta", "data2vec_text"],
            ..names
        };
        for (model_type, prefix) in [
            ("roberta", "roberta."),
            ("camembert", "roberta."),
            ("data2vec-text", "data2vec_text."),
        ] {
            assert_eq!(group.of_classes(model_type), prefix);
        }
        assert!(names.is_usual("") && names.is_usual("bert.") && !names.is_usual("a.bert."));
    }
}
