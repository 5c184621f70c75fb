//! Lengths and the style of documentation.
//!
//! A function or file may be longer than the limit if a comment says why: `// length: REASON`
//! directly above the function (or its attributes and documentation), or at the top of the file.

use crate::none;
use crate::source::{Source, crate_sources, sources};

const LINE: usize = 100;
const FUNCTION: usize = 60;
const FILE: usize = 400;
const MARKER: &str = "// length: ";

/// Beginnings that make a doc sentence a riddle.
const BEGINNINGS: &[&str] = &[
    "Is told", "Nobody", "Somebody", "So many", "What", "Where", "Whether",
];

fn all() -> Vec<Source> {
    let mut all = crate_sources(|_| true);
    all.extend(sources("tests"));
    all.extend(sources("benches"));
    all
}

#[test]
fn lines_have_at_most_100_columns() {
    let mut findings = Vec::new();
    for source in all() {
        for (index, line) in source.text.lines().enumerate() {
            let columns = line.chars().count();
            if columns > LINE && !line.contains("https://") {
                findings.push(format!("{}:{}: {columns}", source.path, index + 1));
            }
        }
    }
    none("a line of more than 100 columns", &findings);
}

/// True if a reason stands at the top of the file.
fn file_has_reason(source: &Source) -> bool {
    let top = source.text.lines();
    let mut top = top.take_while(|line| line.is_empty() || line.starts_with("//"));
    top.any(|line| line.starts_with(MARKER))
}

/// True if a reason stands above the function that begins at line `first`, counted from 1.
fn function_has_reason(source: &Source, first: usize) -> bool {
    let lines: Vec<&str> = source.text.lines().take(first - 1).map(str::trim).collect();
    let above = lines.iter().rev();
    let mut above = above.take_while(|line| line.starts_with("//") || line.starts_with('#'));
    above.any(|line| line.starts_with(MARKER))
}

#[test]
fn functions_have_at_most_60_lines() {
    let mut findings = Vec::new();
    for source in crate_sources(|_| true) {
        for function in source.functions() {
            if function.length > FUNCTION && !function_has_reason(&source, function.first) {
                findings.push(format!(
                    "{}:{}: {} has {}",
                    source.path, function.first, function.name, function.length
                ));
            }
        }
    }
    none("a function of more than 60 lines", &findings);
}

#[test]
fn files_have_at_most_400_lines() {
    let mut findings = Vec::new();
    for source in crate_sources(|_| true) {
        // Tests at the bottom of a file do not count.
        let lines: Vec<&str> = source.text.lines().collect();
        let tests = lines.iter().position(|line| *line == "#[cfg(test)]");
        let length = source.length(1, tests.unwrap_or(lines.len()));
        if length > FILE && !source.is_test() && !file_has_reason(&source) {
            findings.push(format!("{}: {length}", source.path));
        }
    }
    none("a file of more than 400 lines", &findings);
}

/// The documentation blocks of a file: the line each begins at, and its text without code.
fn docs(source: &Source) -> Vec<(usize, String)> {
    let mut blocks: Vec<(usize, String)> = Vec::new();
    let (mut inside, mut code) = (false, false);
    for (index, line) in source.text.lines().enumerate() {
        let line = line.trim_start();
        let content = line
            .strip_prefix("///")
            .or_else(|| line.strip_prefix("//!"));
        let Some(content) = content.map(str::trim) else {
            (inside, code) = (false, false);
            continue;
        };
        if !inside {
            blocks.push((index + 1, String::new()));
            inside = true;
        }
        if content.starts_with("```") {
            code = !code;
        } else if let (false, Some((_, text))) = (code, blocks.last_mut()) {
            // A heading and an empty line end a sentence.
            let ends = content.is_empty() || content.starts_with('#');
            *text += if ends { "\n" } else { " " };
            *text += content.trim_start_matches(['-', '*', '#', ' ']);
            *text += if content.starts_with('#') { "\n" } else { "" };
        }
    }
    blocks
}

#[test]
fn doc_sentences_have_subjects() {
    none(
        "a doc sentence that begins with a question word",
        &riddles(&all()),
    );
}

fn riddles(sources: &[Source]) -> Vec<String> {
    let mut findings = Vec::new();
    for source in sources {
        for (line, text) in docs(source) {
            for sentence in text.split(['\n']).flat_map(|text| text.split(". ")) {
                let sentence = sentence.trim();
                let begins = |word: &&&str| {
                    let rest = sentence.strip_prefix(**word);
                    rest.is_some_and(|rest| !rest.starts_with(char::is_alphanumeric))
                };
                if let Some(word) = BEGINNINGS.iter().find(begins) {
                    findings.push(format!("{}:{line}: {word} …", source.path));
                }
            }
        }
    }
    findings
}

#[test]
fn riddles_are_found() {
    let found = |text: &str| {
        riddles(&[Source {
            path: "x.rs".to_owned(),
            text: text.to_owned(),
        }])
    };
    for text in [
        "/// What comes out.",
        "/// Reads a file. Where it is missing, none.",
        "//! # Errors\n//! Where the file is missing.",
        "/// Reads a file.\n///\n/// # Errors\n///\n/// Where the file is missing.",
        "    /// - Whether it is there",
        "/// Reads.\n/// Nobody\n/// reads.",
    ] {
        assert_eq!(found(text).len(), 1, "{text}");
    }
    for text in [
        "/// Whatever the order, the same bytes. Wheres and hows.",
        "/// ```\n/// What\n/// ```\n/// True if it is what it was.",
        "// What comes out.",
    ] {
        assert_eq!(found(text), [""; 0], "{text}");
    }
}
