use crate::Graph;
use std::collections::BTreeMap;

/// Versions of operator sets by domain. The standard domain is the empty string; its other name,
/// `ai.onnx`, is the same key.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Opsets(BTreeMap<String, i64>);

impl Opsets {
    /// The standard operator set alone.
    pub fn standard(version: i64) -> Self {
        Self(BTreeMap::from([(String::new(), version)]))
    }

    /// Sets the version of a domain.
    pub fn insert(&mut self, domain: &str, version: i64) {
        self.0.insert(normal_domain(domain).to_owned(), version);
    }

    /// The version of a domain, if the model imports it.
    pub fn get(&self, domain: &str) -> Option<i64> {
        self.0.get(normal_domain(domain)).copied()
    }

    /// Domains and versions, in alphabetical order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, i64)> {
        self.0
            .iter()
            .map(|(domain, version)| (domain.as_str(), *version))
    }
}

impl FromIterator<(String, i64)> for Opsets {
    fn from_iter<T: IntoIterator<Item = (String, i64)>>(iter: T) -> Self {
        let mut opsets = Self::default();
        for (domain, version) in iter {
            opsets.insert(&domain, version);
        }
        opsets
    }
}

/// The standard domain has two names.
fn normal_domain(domain: &str) -> &str {
    match domain {
        "ai.onnx" => "",
        other => other,
    }
}

/// A graph with the other contents of an ONNX file.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// The graph.
    pub graph: Graph,
    /// Version of the file format.
    pub ir_version: i64,
    /// Operator sets by domain.
    pub opsets: Opsets,
    /// The program that wrote the file.
    pub producer_name: String,
    /// That program's version.
    pub producer_version: String,
    /// Free-form properties.
    pub metadata: BTreeMap<String, String>,
}

impl Model {
    /// A model on the standard operator set `opset`, in version 8 of the file format.
    pub fn new(graph: Graph, opset: i64) -> Self {
        Self {
            graph,
            ir_version: 8,
            opsets: Opsets::standard(opset),
            producer_name: "rtune".to_owned(),
            producer_version: env!("CARGO_PKG_VERSION").to_owned(),
            metadata: BTreeMap::new(),
        }
    }

    /// The version of the standard operator set, if the model imports it.
    pub fn opset(&self) -> Option<i64> {
        self.opsets.get("")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_names_of_the_standard_domain_are_one() {
        let mut opsets = Opsets::from_iter([("ai.onnx".to_owned(), 16)]);
        assert_eq!(opsets.get(""), Some(16));
        opsets.insert("", 17);
        opsets.insert("com.microsoft", 1);
        assert_eq!(
            opsets.iter().collect::<Vec<_>>(),
            [("", 17), ("com.microsoft", 1)]
        );
        assert_eq!(opsets.get("ai.onnx.ml"), None);
    }
}
