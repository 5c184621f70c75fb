/// The name that rtune uses for a tensor of a checkpoint: without the first of the `prefixes` that
/// it starts with, and with today's names of a normalization's parameters.
///
/// Checkpoints with a task head prefix the names of the encoder (`bert.encoder.…`); checkpoints
/// from TensorFlow times call the parameters of a normalization `gamma` and `beta`.
pub(crate) fn canonical(name: &str, prefixes: &[&str]) -> String {
    let bare = |prefix: &&str| name.strip_prefix(*prefix)?.strip_prefix('.');
    let name = prefixes.iter().find_map(bare).unwrap_or(name);
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
    fn prefixes_and_old_names_are_replaced() {
        let cases: [(&str, &[&str], &str); 8] = [
            (
                "encoder.layer.0.weight",
                &["bert"],
                "encoder.layer.0.weight",
            ),
            (
                "bert.encoder.layer.0.weight",
                &["bert"],
                "encoder.layer.0.weight",
            ),
            ("bertie.weight", &["bert"], "bertie.weight"),
            ("model.norm.weight", &["encoder", "model"], "norm.weight"),
            ("model.model.norm.weight", &["model"], "model.norm.weight"),
            (
                "embeddings.LayerNorm.gamma",
                &[],
                "embeddings.LayerNorm.weight",
            ),
            (
                "bert.embeddings.LayerNorm.beta",
                &["bert"],
                "embeddings.LayerNorm.bias",
            ),
            ("gamma", &["bert"], "gamma"),
        ];
        for (name, prefixes, expected) in cases {
            assert_eq!(canonical(name, prefixes), expected);
        }
    }
}
