//! Inference cases as lines of text.
//!
//! A line is `Operator(inputs) attributes @opset -> outputs`, or `-> ! problem`. Inputs and outputs
//! are facts as they are displayed, `?` if nothing is known, `-` if omitted; known elements follow
//! in braces: `i64[2]{n, 3}`. An input with constant elements is a constant. The opset is 17 unless
//! given. A line that begins with `->` continues the one before it.

use crate::facts::Known;
use crate::operators::Operator;
use crate::{
    Attribute, Dim, ElementType, Expr, Fact, Facts, Graph, NodeDraft, Opsets, Tensor, infer,
};
use std::collections::BTreeSet;

/// Checks the cases, and that each row of the family has one.
pub(crate) fn check(rows: &[Operator], cases: &str) {
    let joined: Vec<_> = cases.lines().map(str::trim).collect();
    let joined = joined.join("\n").replace("\n->", " ->");
    let lines = joined.lines().filter(|line| !line.is_empty());
    let mut failures = Vec::new();
    let mut seen = BTreeSet::new();
    for line in lines {
        let (call, expected) = line.rsplit_once(" -> ").expect(line);
        let case = Case::new(call);
        seen.insert((
            case.draft.node.domain.clone(),
            case.draft.node.op_type.clone(),
        ));
        let found = case.run(split(expected).len());
        if found != expected {
            failures.push(format!("{call}\n  expected {expected}\n     found {found}"));
        }
    }
    for row in rows {
        if !seen.contains(&(row.domain.to_owned(), row.name.to_owned())) {
            failures.push(format!("{} has no case", row.name));
        }
    }
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

struct Case {
    graph: Graph,
    facts: Facts,
    opsets: Opsets,
    draft: NodeDraft,
}

impl Case {
    fn new(call: &str) -> Self {
        let (name, rest) = call.split_once('(').expect(call);
        let end = closing(rest);
        let (inputs, words) = (&rest[..end], split_words(&rest[end + 1..]));
        let (domain, op_type) = name.rsplit_once('.').unwrap_or(("", name));
        let mut graph = Graph::new("case");
        let mut facts = Facts::default();
        let mut ids = Vec::new();
        for (index, text) in split(inputs).iter().enumerate() {
            let (known, constant) = match text.as_str() {
                "-" => {
                    ids.push(None);
                    continue;
                }
                "?" => (Known::default(), None),
                text => parse_known(text),
            };
            let id = graph
                .declare(&format!("in{index}"), known.fact.clone())
                .unwrap();
            if let Some(tensor) = constant {
                graph.set_initializer(id, tensor);
            }
            facts.set(id, known);
            ids.push(Some(id));
        }
        let mut draft = NodeDraft::new(op_type, "n").domain(domain).inputs(ids);
        let mut opset = 17;
        for word in words {
            match word.strip_prefix('@') {
                Some(version) => opset = version.parse().unwrap(),
                None => {
                    let (name, value) = word.split_once('=').expect(&word);
                    draft = draft.attribute(name, parse_attribute(value));
                }
            }
        }
        let mut opsets = Opsets::standard(opset);
        opsets.insert("com.microsoft", 1);
        Self {
            graph,
            facts,
            opsets,
            draft,
        }
    }

    fn run(&self, outputs: usize) -> String {
        let omitted = vec![false; outputs];
        let node = &self.draft.node;
        match infer::infer_node(&self.graph, &self.facts, &self.opsets, node, &omitted) {
            Ok(known) => known.iter().map(show).collect::<Vec<_>>().join(", "),
            Err(error) => format!("! {}", error.kind()),
        }
    }
}

fn show(known: &Known) -> String {
    let Some(fact) = &known.fact else {
        return "?".to_owned();
    };
    let Some(contents) = &known.contents else {
        return fact.to_string();
    };
    let show = |e: &Option<Expr>| e.as_ref().map_or("?".to_owned(), ToString::to_string);
    let elements: Vec<_> = contents.iter().map(show).collect();
    format!("{fact}{{{}}}", elements.join(", "))
}

/// The index of the parenthesis that closes the call.
fn closing(text: &str) -> usize {
    let mut depth = 1;
    let close = text.char_indices().find(|(_, c)| {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        depth == 0
    });
    close.expect(text).0
}

/// Splits at commas outside of brackets.
fn split(text: &str) -> Vec<String> {
    if text.starts_with('!') {
        return vec![text.to_owned()];
    }
    split_at(text, ',')
}

fn split_words(text: &str) -> Vec<String> {
    split_at(text, ' ')
}

fn split_at(text: &str, separator: char) -> Vec<String> {
    let (mut parts, mut depth, mut quoted) = (Vec::new(), 0, false);
    let mut current = String::new();
    for c in text.chars() {
        match c {
            '"' => quoted = !quoted,
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            _ => {}
        }
        if c == separator && depth == 0 && !quoted {
            parts.push(std::mem::take(&mut current));
        } else {
            current.push(c);
        }
    }
    parts.push(current);
    let parts = parts.into_iter().map(|part| part.trim().to_owned());
    parts.filter(|part| !part.is_empty()).collect()
}

fn parse_type(text: &str) -> ElementType {
    ElementType::all()
        .find(|t| t.to_string() == text)
        .expect(text)
}

fn parse_known(text: &str) -> (Known, Option<Tensor>) {
    let (fact, elements) = match text.split_once('{') {
        Some((fact, elements)) => (fact, Some(elements.trim_end_matches('}'))),
        None => (text, None),
    };
    let (element_type, dims) = fact.split_once('[').expect(text);
    let element_type = parse_type(element_type);
    let dims = dims.strip_suffix(']').expect(text);
    let dim = |text: &String| match (text.as_str(), text.parse()) {
        ("?", _) => Dim::Unknown,
        (_, Ok(size)) => Dim::Fixed(size),
        (name, _) => Dim::symbol(name),
    };
    let fact = match dims {
        ".." => Fact::unranked(element_type),
        _ => Fact::new(element_type, split(dims).iter().map(dim)),
    };
    let Some(elements) = elements.map(split) else {
        return (fact.into(), None);
    };
    let dims: Vec<u64> = fact.shape.iter().flatten().filter_map(Dim::fixed).collect();
    if element_type == ElementType::Float32 {
        let values: Vec<f32> = elements.iter().map(|e| e.parse().unwrap()).collect();
        return (fact.into(), Some(Tensor::from_f32(&dims, &values).unwrap()));
    }
    let expr = |text: &String| match (text.as_str(), text.parse()) {
        ("?", _) => None,
        (_, Ok(value)) => Some(Expr::constant(value)),
        (text, _) => Some(Expr::read(text)),
    };
    let contents: Vec<_> = elements.iter().map(expr).collect();
    let constants: Option<Vec<i64>> = contents.iter().map(|e| e.as_ref()?.as_constant()).collect();
    let constant = constants
        .filter(|_| element_type == ElementType::Int64)
        .map(|values| Tensor::from_i64(&dims, &values).unwrap());
    let known = Known {
        fact: Some(fact),
        contents: Some(contents),
    };
    (known, constant)
}

fn parse_attribute(text: &str) -> Attribute {
    if let Some(text) = text.strip_prefix('"') {
        return Attribute::from(text.trim_end_matches('"'));
    }
    if let Some(list) = text.strip_prefix('[') {
        let values = split(list.trim_end_matches(']'));
        return match values.iter().any(|v| v.contains('.')) {
            true => Attribute::Floats(values.iter().map(|v| v.parse().unwrap()).collect()),
            false => Attribute::Ints(values.iter().map(|v| v.parse().unwrap()).collect()),
        };
    }
    match (text.parse::<i64>(), text.parse::<f32>()) {
        (Ok(value), _) => Attribute::Int(value),
        (_, Ok(value)) => Attribute::Float(value),
        _ => Attribute::Tensor(parse_known(text).1.expect(text)),
    }
}
