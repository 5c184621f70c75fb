//! The family of an encoder whose `config.json` does not name it, from the names of its tensors.

use crate::EncoderConfig;
use std::collections::BTreeSet;

/// Names of tensors that every checkpoint of some families has, with the values of `model_type` of
/// these families. The first that a checkpoint has counts: some families have BERT's names and a
/// few of their own.
const MARKERS: [(&str, &[&str]); 14] = [
    ("encoder.layer.0.mlp.gated_layers.weight", &["jina_bert"]),
    ("encoder.layer.0.attention.ln.weight", &["megatron-bert"]),
    ("embeddings_project.weight", &["electra"]),
    ("embeddings.task_type_embeddings.weight", &["ernie"]),
    (
        "encoder.albert_layer_groups.0.albert_layers.0.ffn.weight",
        &["albert"],
    ),
    ("encoder.layer.0.attention.attn.q.weight", &["mpnet"]),
    (
        "encoder.layer.0.attention.self.query_proj.weight",
        &["deberta-v2"],
    ),
    (
        "transformer.layer.0.attention.q_lin.weight",
        &["distilbert"],
    ),
    ("encoder.layers.0.attn.Wqkv.weight", &["nomic_bert"]),
    ("layers.0.attn.Wqkv.weight", &["modernbert"]),
    ("transformer_encoder.0.qkv.weight", &["neobert"]),
    ("encoder.layer.0.attention.qkv_proj.weight", &["new", "gte"]),
    // Decoders have these names, too.
    ("layers.0.self_attn.q_proj.weight", &["eurobert", "llama"]),
    (
        "encoder.layer.0.attention.self.query.weight",
        &[
            "bert",
            "roberta",
            "camembert",
            "xlm-roberta",
            "data2vec-text",
            "electra",
            "ernie",
        ],
    ),
];

/// Families with the prefixes of their own that models with a head put before all names. CamemBERT
/// and XLM-RoBERTa have RoBERTa's and are the same encoder.
const PREFIXES: [(&str, &[&str]); 7] = [
    ("bert", &["bert"]),
    ("roberta", ROBERTA),
    ("data2vec_text", &["data2vec-text"]),
    ("electra", &["electra"]),
    ("ernie", &["ernie"]),
    ("new", &["new"]),
    ("gte", &["gte"]),
];

const ROBERTA: &[&str] = &["roberta", "camembert", "xlm-roberta"];

/// Finds the `model_type` of a checkpoint by the names of its tensors, and, if several families
/// have these, by the classes that `architectures` in `config.json` names.
///
/// # Errors
/// If it remains open, in words.
pub(crate) fn infer(
    names: &BTreeSet<String>,
    architectures: &[&str],
) -> Result<&'static str, String> {
    let of_class = |class: &&str| {
        let ends = ["Model", "For", "LMHead"].iter();
        let end = ends.filter_map(|end| class.find(end)).min();
        let family = class.get(..end.unwrap_or(class.len()))?;
        // Older classes write acronyms with one capital.
        let mut classes = EncoderConfig::CLASSES.iter();
        let found = classes.find(|(_, known)| known.eq_ignore_ascii_case(family));
        found.map(|(model_type, _)| *model_type)
    };
    let hints: Vec<&str> = architectures.iter().filter_map(of_class).collect();
    let candidates = candidates(names);
    let hinted = candidates.iter().find(|family| hints.contains(family));
    match (candidates, hinted) {
        ([only], _) => Ok(only),
        (_, Some(hinted)) => Ok(hinted),
        (ROBERTA, None) => Ok(ROBERTA[0]),
        ([], None) => Err("the names of its tensors are those of no supported family".to_owned()),
        (several, None) => Err(format!(
            "the names of its tensors are those of {}",
            several.join(", ")
        )),
    }
}

/// The values of `model_type` of the families whose checkpoints have such names.
fn candidates(names: &BTreeSet<String>) -> &'static [&'static str] {
    let found = MARKERS.iter().find_map(|(marker, families)| {
        let mut prefixes = names.iter().filter_map(|name| name.strip_suffix(marker));
        let prefix = prefixes.find(|prefix| prefix.is_empty() || prefix.ends_with('.'))?;
        Some((prefix, *families))
    });
    let Some((prefix, families)) = found else {
        return &[];
    };
    // A wrapper may have put another prefix in front of that of the family.
    let last = prefix.trim_end_matches('.').rsplit('.').next();
    let mut own = PREFIXES.iter().filter(|(prefix, _)| last == Some(*prefix));
    let own = own.find(|(_, own)| own.iter().all(|family| families.contains(family)));
    own.map_or(families, |(_, own)| own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_the_family_if_only_one_has_them() {
        let query = "encoder.layer.0.attention.self.query.weight";
        let cases: [(&[&str], &[&str], Result<&str, &str>); 13] = [
            (&["bert."], &[], Ok("bert")),
            (&["module.bert."], &[], Ok("bert")),
            (&["_orig_mod.roberta."], &[], Ok("roberta")),
            (&["roberta."], &["XLMRobertaForMaskedLM"], Ok("xlm-roberta")),
            (&["roberta."], &["CamembertModel"], Ok("camembert")),
            (&["data2vec_text."], &[], Ok("data2vec-text")),
            (&["electra."], &["BertModel"], Ok("electra")),
            (&[""], &["BertModel"], Ok("bert")),
            (&["0.auto_model."], &["ErnieForMaskedLM"], Ok("ernie")),
            (&[""], &["ElectraForPreTraining"], Ok("electra")),
            (&[""], &["GPT2LMHeadModel"], Err("those of bert, roberta,")),
            (&[""], &[], Err("those of bert, roberta, camembert,")),
            (&[], &["BertModel"], Err("those of no supported family")),
        ];
        for (prefixes, architectures, expected) in cases {
            let names = prefixes.iter().map(|prefix| format!("{prefix}{query}"));
            let found = infer(&names.collect(), architectures);
            match (&found, expected) {
                (Ok(found), Ok(expected)) => assert_eq!(*found, expected),
                (Err(found), Err(expected)) => assert!(found.contains(expected), "{found}"),
                _ => panic!("{prefixes:?} {architectures:?}: {found:?}"),
            }
        }
    }

    #[test]
    fn decoders_are_not_taken_for_an_encoder() {
        let names = BTreeSet::from(["model.layers.0.self_attn.q_proj.weight".to_owned()]);
        assert_eq!(infer(&names, &["EuroBertForMaskedLM"]), Ok("eurobert"));
        assert!(infer(&names, &["LlamaForCausalLM"]).is_err());
    }
}
