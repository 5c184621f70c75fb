//! Source files as lines and as tokens.

use proc_macro2::{Delimiter, Group, Span, TokenStream, TokenTree};
use rtune_testkit::root;
use std::path::{Path, PathBuf};

/// A Rust file.
pub(crate) struct Source {
    /// The path from the root of the source tree.
    pub(crate) path: String,
    pub(crate) text: String,
}

/// A function: its name, the lines it covers, counted from 1, and its lines with code.
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) first: usize,
    pub(crate) length: usize,
}

/// Reads the Rust files below a folder, given from the root of the source tree. Generated files and
/// build output are left out.
pub(crate) fn sources(folder: &str) -> Vec<Source> {
    let mut sources = Vec::new();
    collect(&root().join(folder), folder, &mut sources);
    sources
}

/// Reads the sources of each crate whose name `wanted` accepts.
pub(crate) fn crate_sources(wanted: impl Fn(&str) -> bool) -> Vec<Source> {
    let entries = std::fs::read_dir(root().join("crates")).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
        .iter()
        .filter(|name| wanted(name))
        .flat_map(|name| sources(&format!("crates/{name}/src")))
        .collect()
}

fn collect(folder: &Path, name: &str, sources: &mut Vec<Source>) {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        let file = path.file_name().unwrap().to_string_lossy();
        let name = format!("{name}/{file}");
        if path.is_dir() {
            collect(&path, &name, sources);
        } else if file.ends_with(".rs") && file != "generated.rs" {
            let text = std::fs::read_to_string(&path).unwrap();
            sources.push(Source { path: name, text });
        }
    }
}

impl Source {
    /// A file of tests only, which another file includes.
    pub(crate) fn is_test(&self) -> bool {
        self.path.ends_with("tests.rs") || self.path.contains("/tests/")
    }

    /// The tokens of all code that is no test.
    pub(crate) fn tokens(&self) -> Vec<TokenTree> {
        let tokens: TokenStream = self.text.parse().unwrap_or_else(|error| {
            panic!("{}: {error}", self.path);
        });
        without_tests(tokens)
    }

    /// `path:line` of a token.
    pub(crate) fn place(&self, span: Span) -> String {
        format!("{}:{}", self.path, span.start().line)
    }

    /// The number of lines with code, comments or documentation from line `first` to `last`,
    /// counted from 1.
    pub(crate) fn length(&self, first: usize, last: usize) -> usize {
        let lines = self.text.lines().skip(first - 1).take(last + 1 - first);
        lines.filter(|line| !line.trim().is_empty()).count()
    }

    pub(crate) fn functions(&self) -> Vec<Function> {
        let mut functions = Vec::new();
        self.find_functions(&self.tokens(), &mut functions);
        functions
    }

    fn find_functions(&self, tokens: &[TokenTree], found: &mut Vec<Function>) {
        for (index, token) in tokens.iter().enumerate() {
            if let TokenTree::Group(group) = token {
                self.find_functions(&group.stream().into_iter().collect::<Vec<_>>(), found);
            }
            let Some(TokenTree::Ident(name)) = tokens.get(index + 1) else {
                continue;
            };
            if !is_ident(token, "fn") {
                continue;
            }
            if let Some(body) = body(&tokens[index..]) {
                let (first, last) = (token.span().start().line, body.span_close().end().line);
                found.push(Function {
                    name: name.to_string(),
                    first,
                    length: self.length(first, last),
                });
            }
        }
    }
}

/// The braces of the item that begins here, or none if it ends without.
fn body(tokens: &[TokenTree]) -> Option<&Group> {
    for token in tokens {
        match token {
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => return Some(group),
            TokenTree::Punct(punct) if punct.as_char() == ';' => return None,
            _ => {}
        }
    }
    None
}

pub(crate) fn is_ident(token: &TokenTree, name: &str) -> bool {
    matches!(token, TokenTree::Ident(ident) if ident == name)
}

pub(crate) fn is_punct(token: Option<&TokenTree>, sign: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == sign)
}

fn is_test_attribute(tokens: &[TokenTree]) -> bool {
    let Some(TokenTree::Group(group)) = tokens.get(1) else {
        return false;
    };
    let text = group.stream().to_string().replace(' ', "");
    is_punct(tokens.first(), '#') && (text == "cfg(test)" || text == "test")
}

/// Drops items behind `#[cfg(test)]` and `#[test]`.
fn without_tests(stream: TokenStream) -> Vec<TokenTree> {
    let tokens: Vec<TokenTree> = stream.into_iter().collect();
    let mut kept = Vec::new();
    let mut index = 0;
    while index < tokens.len() {
        if !is_test_attribute(&tokens[index..]) {
            kept.push(tokens[index].clone());
            index += 1;
            continue;
        }
        let ends = |token: &TokenTree| match token {
            TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
            token => is_punct(Some(token), ';'),
        };
        let item = tokens[index..].iter().position(ends);
        index += item.map_or(tokens.len(), |end| end + 1);
    }
    kept
}

/// Calls `visit` for each token with those that follow it, within all groups.
pub(crate) fn walk(tokens: &[TokenTree], visit: &mut impl FnMut(&[TokenTree])) {
    for (index, token) in tokens.iter().enumerate() {
        visit(&tokens[index..]);
        if let TokenTree::Group(group) = token {
            walk(&group.stream().into_iter().collect::<Vec<_>>(), visit);
        }
    }
}

/// All paths, such as `std::io::stderr`, those of `use std::{env, io}` one by one.
pub(crate) fn paths(tokens: &[TokenTree]) -> Vec<(String, Span)> {
    let mut found = Vec::new();
    collect_paths(tokens, "", &mut found);
    found
}

fn collect_paths(tokens: &[TokenTree], prefix: &str, found: &mut Vec<(String, Span)>) {
    let mut index = 0;
    while let Some(token) = tokens.get(index) {
        index += 1;
        match token {
            TokenTree::Group(group) => {
                let inner: Vec<TokenTree> = group.stream().into_iter().collect();
                collect_paths(&inner, "", found);
            }
            TokenTree::Ident(ident) => {
                let mut path = format!("{prefix}{ident}");
                while is_punct(tokens.get(index), ':') && is_punct(tokens.get(index + 1), ':') {
                    match tokens.get(index + 2) {
                        Some(TokenTree::Ident(next)) => path += &format!("::{next}"),
                        Some(TokenTree::Group(group)) => {
                            let inner: Vec<TokenTree> = group.stream().into_iter().collect();
                            collect_paths(&inner, &format!("{path}::"), found);
                        }
                        _ => break,
                    }
                    index += 3;
                }
                found.push((path, ident.span()));
            }
            _ => {}
        }
    }
}

/// The string literals of code, without documentation.
pub(crate) fn strings(tokens: &[TokenTree]) -> Vec<(String, Span)> {
    let mut found = Vec::new();
    collect_strings(tokens, &mut found);
    found
}

fn collect_strings(tokens: &[TokenTree], found: &mut Vec<(String, Span)>) {
    if tokens.first().is_some_and(|token| is_ident(token, "doc")) && is_punct(tokens.get(1), '=') {
        return;
    }
    for token in tokens {
        match token {
            TokenTree::Group(group) => {
                collect_strings(&group.stream().into_iter().collect::<Vec<_>>(), found);
            }
            TokenTree::Literal(literal) => {
                let text = literal.to_string();
                if text.contains('"') {
                    found.push((text, literal.span()));
                }
            }
            _ => {}
        }
    }
}
