//! Limits of library code.

use crate::none;
use crate::source::{Source, crate_sources, is_ident, is_punct, paths, sources, strings, walk};
use proc_macro2::TokenTree;

/// Crates that may print and read the environment: the program and the tools of developers.
const PROGRAMS: &[&str] = &["rtune", "rtune-testkit", "xtask"];

/// Crates that may be async and open sockets of outside crates.
const NETWORK: &[&str] = &["rtune-store", "rtune-serve"];

/// Crates that may open sockets of the standard library.
const SOCKETS: &[&str] = &["rtune-spot"];

const PRINTING: &[&str] = &["print", "println", "eprint", "eprintln", "dbg"];

/// Parts of paths that libraries may not name.
const FORBIDDEN: &[&str] = &[
    "std::env",
    "env::var",
    "env::var_os",
    "env::vars",
    "env::args",
    "io::stdout",
    "io::stderr",
    "io::stdin",
    "process::exit",
    "process::abort",
];

/// Ways to read a dimension of a value.
const DIMENSIONS: &[&str] = &[
    "dim",
    "dims",
    "dims1",
    "dims2",
    "dims3",
    "dims4",
    "dims5",
    "elem_count",
    "rank",
    "shape",
];

fn libraries() -> Vec<Source> {
    let mut found = crate_sources(|name| !PROGRAMS.contains(&name));
    found.retain(|source| !source.is_test());
    assert!(found.len() > 80, "source files are missing");
    found
}

/// True if `part` is in `path` on whole segments.
fn names(path: &str, part: &str) -> bool {
    format!("::{path}::").contains(&format!("::{part}::"))
}

#[test]
fn libraries_neither_print_nor_read_the_environment() {
    none(
        "only the command line prints and reads the environment",
        &prints(&libraries()),
    );
}

fn prints(sources: &[Source]) -> Vec<String> {
    let mut findings = Vec::new();
    for source in sources {
        let tokens = source.tokens();
        for (path, span) in paths(&tokens) {
            if let Some(part) = FORBIDDEN.iter().find(|part| names(&path, part)) {
                findings.push(format!("{}: {part}", source.place(span)));
            }
        }
        walk(&tokens, &mut |rest| {
            let name = PRINTING.iter().find(|name| is_ident(&rest[0], name));
            if let (Some(name), true) = (name, is_punct(rest.get(1), '!')) {
                findings.push(format!("{}: {name}!", source.place(rest[0].span())));
            }
        });
    }
    findings
}

#[test]
fn libraries_neither_open_sockets_nor_are_async() {
    none(
        "only spot, store and serve open sockets, and only the last two are async",
        &networks(&libraries()),
    );
}

fn networks(sources: &[Source]) -> Vec<String> {
    let mut findings = Vec::new();
    for source in sources {
        let is_of = |name: &&str| source.path.starts_with(&format!("crates/{name}/"));
        if NETWORK.iter().any(is_of) {
            continue;
        }
        let may_open = SOCKETS.iter().any(is_of);
        let tokens = source.tokens();
        let all = paths(&tokens);
        let sockets = all
            .iter()
            .filter(|(path, _)| !may_open && names(path, "std::net"));
        let places = sockets.map(|(path, span)| format!("{}: {path}", source.place(*span)));
        findings.extend(places);
        walk(&tokens, &mut |rest| {
            if is_ident(&rest[0], "async") || is_ident(&rest[0], "await") {
                findings.push(format!("{}: {}", source.place(rest[0].span()), rest[0]));
            }
        });
    }
    findings
}

#[test]
fn messages_of_libraries_name_no_flags() {
    let mut findings = Vec::new();
    for source in libraries() {
        for (text, span) in strings(&source.tokens()) {
            let flag = |at: usize| text[at + 2..].starts_with(|c: char| c.is_ascii_lowercase());
            let flags = text.match_indices("--").any(|(at, _)| flag(at));
            if flags || text.contains("`rtune ") || text.contains("cargo xtask") {
                findings.push(format!("{}: {text}", source.place(span)));
            }
        }
    }
    none("a library does not know the flags of its caller", &findings);
}

/// A command's file is flags, a library call and printing, so it needs no other command.
#[test]
fn commands_are_short_and_know_no_other() {
    let mut findings = Vec::new();
    let commands = sources("crates/rtune/src/commands");
    assert!(commands.len() > 8, "source files are missing");
    for source in commands {
        let name = source.path.rsplit("/commands/").next().unwrap_or_default();
        if name == "mod.rs" || name.contains('/') {
            continue;
        }
        let length = source.text.lines().count();
        if length > 150 {
            findings.push(format!("{}: {length} lines", source.path));
        }
        for (path, span) in paths(&source.tokens()) {
            if ["crate::cli", "crate::commands"]
                .iter()
                .any(|other| names(&path, other))
            {
                findings.push(format!("{}: {path}", source.place(span)));
            }
        }
    }
    none("a command of at most 150 lines without others", &findings);
}

#[test]
fn no_forward_reads_a_dimension() {
    let nn = "crates/rtune-nn/src";
    let mut modules = sources(nn);
    modules.retain(|source| {
        let name = &source.path[nn.len() + 1..];
        let folders = ["layers/", "encoders/", "heads/", "heads.rs", "model.rs"];
        folders.iter().any(|folder| name.starts_with(folder))
    });
    assert!(modules.len() > 6, "source files are missing");
    let mut findings = Vec::new();
    for source in modules {
        walk(&source.tokens(), &mut |rest| {
            let [dot, TokenTree::Ident(method), TokenTree::Group(_), ..] = rest else {
                return;
            };
            if is_punct(Some(dot), '.') && DIMENSIONS.iter().any(|name| method == name) {
                findings.push(format!("{}: .{method}()", source.place(method.span())));
            }
        });
    }
    none("a forward reads no dimension", &findings);
}

/// The rules find what they forbid, wherever it stands, and nothing in tests or documentation.
#[test]
fn rules_find_violations() {
    let source = |text: &str| {
        vec![Source {
            path: "crates/rtune-x/src/lib.rs".to_owned(),
            text: text.to_owned(),
        }]
    };
    for text in [
        "use std::{fmt, env};",
        "use std::env;",
        "use std::io::{self, Write as _};\nfn f() { let _ = io::stderr().write(b\"x\"); }",
        "use std::io::{Write, stdout as out};",
        "fn f() { if true { eprint!(\"{}\", 1) } }",
        "fn f() { vec![std::env::var(\"X\")]; }",
        "fn f() { dbg!(1); }",
        "fn f() { ::std::process::exit(1) }",
    ] {
        assert_eq!(prints(&source(text)).len(), 1, "{text}");
    }
    for text in [
        "use std::net::TcpStream;",
        "use std::{io, net};",
        "async fn f() {}",
        "fn f() { let _ = async { 1 }; }",
    ] {
        assert_eq!(networks(&source(text)).len(), 1, "{text}");
    }
    let spot = |text: &str| {
        [Source {
            path: "crates/rtune-spot/src/a.rs".to_owned(),
            text: text.to_owned(),
        }]
    };
    assert_eq!(networks(&spot("use std::net::TcpStream;")), [""; 0]);
    assert_eq!(networks(&spot("async fn f() {}")).len(), 1);
    let harmless = "/// `std::env::var`, println!, async\nfn f() -> &'static str { \"println!\" }\n\
        #[cfg(test)]\nmod tests { use std::env; #[test] fn t() { println!(\"x\"); } }";
    assert_eq!(prints(&source(harmless)), [""; 0]);
    assert_eq!(networks(&source(harmless)), [""; 0]);
}
