//! Every edge between crates, and every outside crate, has its place in a table of
//! `crates/README.md`.

use crate::none;
use rtune_testkit::root;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// Outside crates that open sockets or run async code, by name or prefix.
const NETWORK: &[&str] = &[
    "async-",
    "aws-",
    "axum",
    "curl",
    "futures",
    "h2",
    "hf-hub",
    "hyper",
    "isahc",
    "mio",
    "quinn",
    "reqwest",
    "rustls",
    "smol",
    "socket2",
    "surf",
    "tokio",
    "tonic",
    "tungstenite",
    "ureq",
];

/// The only crates that may use them.
const NETWORK_USERS: &[&str] = &["store", "serve"];

/// A dependency of a workspace crate.
struct Edge {
    /// The crate without `rtune-`; the root package is `tests`.
    from: String,
    /// The dependency's full name.
    to: String,
    /// Only tests, examples and benches use it.
    dev: bool,
}

impl Edge {
    fn inner(&self) -> Option<&str> {
        (self.to == "rtune")
            .then_some("rtune")
            .or_else(|| self.to.strip_prefix("rtune-"))
    }
}

fn short(name: &str) -> String {
    match name {
        "rtune-workspace" => "tests".to_owned(),
        name => name.strip_prefix("rtune-").unwrap_or(name).to_owned(),
    }
}

fn metadata(arguments: &[&str]) -> Value {
    // Crates of other platforms are not there without a network.
    let platform = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--offline"])
        .args(["--filter-platform", &platform])
        .args(arguments)
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn packages() -> Vec<Value> {
    let metadata = metadata(&["--no-deps"]);
    metadata["packages"].as_array().unwrap().clone()
}

fn edges() -> Vec<Edge> {
    let mut edges = Vec::new();
    for package in packages() {
        for dependency in package["dependencies"].as_array().unwrap() {
            edges.push(Edge {
                from: short(package["name"].as_str().unwrap()),
                to: dependency["name"].as_str().unwrap().to_owned(),
                dev: dependency["kind"] == "dev",
            });
        }
    }
    edges
}

/// The rows of the table below a heading of `crates/README.md`, without the head, as cells.
fn table(heading: &str) -> Vec<Vec<String>> {
    let map = std::fs::read_to_string(root().join("crates/README.md")).unwrap();
    let (_, section) = map.split_once(&format!("\n## {heading}\n")).unwrap();
    let rows = section
        .lines()
        .skip_while(|line| !line.starts_with('|'))
        .take_while(|line| line.starts_with('|'))
        .skip(2);
    rows.map(|line| {
        let cells = line.trim_matches('|').split('|');
        cells.map(|cell| cell.trim().replace('`', "")).collect()
    })
    .collect()
}

fn names(cell: &str) -> Vec<String> {
    let names = cell.split(',').map(|name| name.trim().to_owned());
    names
        .filter(|name| !["", "–"].contains(&name.as_str()))
        .collect()
}

/// Returns the crates of rtune that each crate may use.
fn map() -> BTreeMap<String, Vec<String>> {
    let rows = table("Crates").into_iter();
    rows.map(|row| (short(&row[0]), names(&row[2]))).collect()
}

#[test]
fn crates_use_only_what_the_map_allows() {
    let map = map();
    let mut findings = Vec::new();
    for edge in edges().iter().filter(|edge| edge.from != "tests") {
        let Some(to) = edge.inner() else { continue };
        let allowed = map.get(&edge.from).map_or(&[][..], Vec::as_slice);
        let fits = |name: &String| name == to || name == "all";
        let testing = edge.dev && to == "testkit";
        if !allowed.iter().any(fits) && !testing {
            findings.push(format!("{} uses {to}", edge.from));
        }
    }
    none("an edge that the table of crates does not allow", &findings);
}

#[test]
fn the_map_has_exactly_the_crates_that_exist() {
    let mut found: Vec<String> = packages()
        .iter()
        .map(|package| short(package["name"].as_str().unwrap()))
        .filter(|name| name != "tests")
        .collect();
    found.sort();
    assert_eq!(map().into_keys().collect::<Vec<_>>(), found);
}

#[test]
fn the_graph_depends_on_nothing() {
    let edges = edges();
    let used: Vec<&str> = edges
        .iter()
        .filter(|edge| edge.from == "graph" && !edge.dev)
        .map(|edge| edge.to.as_str())
        .collect();
    assert_eq!(used, [""; 0]);
}

/// Returns the names of the crates that a crate links, directly or not.
fn links(metadata: &Value, name: &str) -> BTreeSet<String> {
    let packages = metadata["packages"].as_array().unwrap().iter();
    let names: BTreeMap<&str, &str> = packages
        .map(|package| (package["id"].as_str().unwrap(), &package["name"]))
        .map(|(id, name)| (id, name.as_str().unwrap()))
        .collect();
    let nodes = metadata["resolve"]["nodes"].as_array().unwrap().iter();
    let nodes: BTreeMap<&str, &Value> = nodes
        .map(|node| (node["id"].as_str().unwrap(), node))
        .collect();
    let mut open: Vec<&str> = names
        .iter()
        .filter(|(_, found)| **found == name)
        .map(|(id, _)| *id)
        .collect();
    let mut found = BTreeSet::new();
    while let Some(id) = open.pop() {
        if found.insert(id) {
            let used = nodes[id]["deps"].as_array().unwrap().iter().filter(|edge| {
                let kinds = edge["dep_kinds"].as_array().unwrap();
                kinds.iter().any(|kind| kind["kind"].is_null())
            });
            open.extend(used.map(|edge| edge["pkg"].as_str().unwrap()));
        }
    }
    found.iter().map(|id| names[id].to_owned()).collect()
}

#[test]
fn a_server_of_predictions_links_no_candle_and_no_protobuf() {
    let metadata = metadata(&[]);
    let heavy = |name: &str| -> Vec<String> {
        let prefixes = ["candle", "gemm", "onnx", "prost", "protobuf", "rtune-onnx"];
        let is_heavy = |link: &String| prefixes.iter().any(|prefix| link.starts_with(prefix));
        links(&metadata, name)
            .into_iter()
            .filter(is_heavy)
            .collect()
    };
    assert_eq!(heavy("rtune-infer"), [""; 0]);
    // The rule finds them in the command line, and the walk reaches the bottom.
    assert!(heavy("rtune").iter().any(|link| link == "candle-core"));
    assert!(links(&metadata, "rtune-infer").contains("ort-sys"));
}

#[test]
fn every_outside_crate_names_its_users() {
    let rows: BTreeMap<String, (Vec<String>, Vec<String>)> = table("Outside crates")
        .into_iter()
        .map(|row| (row[0].clone(), (names(&row[1]), names(&row[2]))))
        .collect();
    let mut findings = Vec::new();
    let edges = edges();
    for edge in edges.iter().filter(|edge| edge.inner().is_none()) {
        let Some((users, testers)) = rows.get(&edge.to) else {
            findings.push(format!("{} uses {}, which has no row", edge.from, edge.to));
            continue;
        };
        let testing = edge.dev && testers.contains(&edge.from);
        if !users.contains(&edge.from) && !testing {
            findings.push(format!("{} uses {}", edge.from, edge.to));
        }
    }
    for (name, (users, testers)) in &rows {
        for user in users.iter().chain(testers) {
            if !edges
                .iter()
                .any(|edge| edge.from == *user && edge.to == *name)
            {
                findings.push(format!(
                    "{user} does not use {name}; remove it from the row"
                ));
            }
        }
    }
    none("a difference to the table of outside crates", &findings);
}

#[test]
fn only_store_and_serve_use_the_network() {
    let mut findings = Vec::new();
    for edge in edges() {
        let network = NETWORK.iter().any(|name| edge.to.starts_with(name));
        if network && !NETWORK_USERS.contains(&edge.from.as_str()) {
            findings.push(format!("{} uses {}", edge.from, edge.to));
        }
    }
    none("a crate that opens sockets or is async", &findings);
}
