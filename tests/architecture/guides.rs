//! Guides and maps name files that exist.

use crate::none;
use rtune_testkit::root;

/// The top-level names that begin a path in prose.
const BEGINNINGS: &[&str] = &[
    "crates/",
    "tests/",
    "fixtures/",
    "docs/",
    "benches/",
    "proto/",
];

/// The documents of the repository: path and text.
fn documents() -> Vec<(String, String)> {
    let mut paths = Vec::new();
    for folder in ["", "crates/", "docs/", "fixtures/"] {
        for entry in std::fs::read_dir(root().join(folder)).unwrap() {
            let name = entry.unwrap().file_name().to_string_lossy().into_owned();
            if name.ends_with(".md") {
                paths.push(format!("{folder}{name}"));
            }
        }
    }
    paths.sort();
    let read = |path: String| {
        let text = std::fs::read_to_string(root().join(&path)).unwrap();
        (path, text)
    };
    paths.into_iter().map(read).collect()
}

#[test]
fn paths_in_documents_exist() {
    let mut findings = Vec::new();
    for (document, text) in documents() {
        for quoted in text.split('`').skip(1).step_by(2) {
            let is_path = BEGINNINGS
                .iter()
                .any(|beginning| quoted.starts_with(beginning));
            let is_pattern = quoted.contains(['<', '*', '…', ' ']);
            if is_path && !is_pattern && !root().join(quoted).exists() {
                findings.push(format!("{document}: {quoted}"));
            }
        }
    }
    none("a path that does not exist", &findings);
}

#[test]
fn links_in_documents_resolve() {
    let mut findings = Vec::new();
    for (document, text) in documents() {
        let folder = root().join(&document);
        let folder = folder.parent().unwrap();
        for link in text.split("](").skip(1) {
            let link = link.split([')', '#']).next().unwrap();
            if !link.is_empty() && !link.contains("://") && !folder.join(link).exists() {
                findings.push(format!("{document}: {link}"));
            }
        }
    }
    none("a link that leads nowhere", &findings);
}
