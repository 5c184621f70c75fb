//! Advice in messages: a case of `tests/cli` follows each piece.
//!
//! A piece of advice is a part of a string that begins with an imperative, such as `remove it`, or
//! a question. A case follows it if a command fails with it, and the next command that succeeds,
//! with nothing between them but failures of the same kind, does what the message says.

use crate::none;
use crate::source::{crate_sources, strings};
use rtune_testkit::root;

/// First words of advice.
const IMPERATIVES: &[&str] = &[
    "add",
    "ask",
    "build",
    "call",
    "change",
    "check",
    "choose",
    "close",
    "compare",
    "convert",
    "copy",
    "correct",
    "create",
    "declare",
    "delete",
    "describe",
    "download",
    "drop",
    "enlarge",
    "export",
    "fetch",
    "fill",
    "finish",
    "fine-tune",
    "finetune",
    "fix",
    "free",
    "give",
    "insert",
    "install",
    "keep",
    "leave",
    "look",
    "lower",
    "make",
    "merge",
    "move",
    "name",
    "number",
    "omit",
    "open",
    "pass",
    "pick",
    "put",
    "quantize",
    "quote",
    "raise",
    "reduce",
    "remove",
    "rename",
    "repair",
    "repeat",
    "replace",
    "rerun",
    "reset",
    "restore",
    "resume",
    "run",
    "save",
    "see",
    "select",
    "separate",
    "set",
    "shorten",
    "split",
    "start",
    "store",
    "train",
    "try",
    "unpack",
    "unset",
    "update",
    "upgrade",
    "use",
    "wait",
    "write",
];

/// Other beginnings of advice.
const HINTS: &[&str] = &["for example: ", "the nearest is ", "the run's model is "];

/// First words of questions that stand for advice.
const QUESTIONS: &[&str] = &[
    "are", "did", "do", "does", "has", "have", "is", "was", "were",
];

/// Advice that no case can follow: the string or its beginning, and the reason.
const EXCEPTIONS: &[(&str, &str)] = &[
    (
        "run the same command again",
        "tests/pipeline.rs interrupts runs and repeats the command",
    ),
    ("remove --device", "needs CUDA"),
    (
        "lower train_batch_size and raise gradient_accumulation_steps",
        "needs CUDA; `cargo xtask gpu-check` meets it",
    ),
    ("lower the batch size", "needs CUDA"),
    ("build it with `--features cuda`", "needs a CUDA toolkit"),
    ("build with --features cuda", "needs a CUDA toolkit"),
    (
        "run `cargo xtask fetch`",
        "downloads; the tests need what it fetches",
    ),
    (
        "write the model as one file",
        "needs the tool that wrote the model in two",
    ),
    (
        "choose a folder that does not exist yet",
        "needs a mount point",
    ),
    (
        "look for what overflows in the float model",
        "the remedy is in the model's training",
    ),
    (
        "use a smaller batch size",
        "needs a batch of more than 4,294,967,295 tokens",
    ),
    (
        "resume with the rtune that wrote it",
        "needs an older rtune",
    ),
    ("resume with that version", "needs an older rtune"),
    ("make room and run again", "needs a full disk"),
    (
        "give it a backward function",
        "is for authors of operations, who see it in their tests",
    ),
];

/// Beginnings of strings that are no advice, but the names of attributes, fields and facts.
const NO_ADVICE: &[&str] = &["set {", "set 1", "quantize   leaves"];

/// Forms of clap's tips.
const TIPS: &[&str] = &[
    "a similar argument exists",
    "a similar subcommand exists",
    "a similar value exists",
    "as a value, use",
];

#[test]
fn every_piece_of_advice_is_followed_by_a_case() {
    let steps = steps();
    assert!(steps.len() > 200, "cases are missing");
    let mut findings = Vec::new();
    let mut used = Vec::new();
    for (place, piece) in advice() {
        let exception = EXCEPTIONS
            .iter()
            .find(|(start, _)| piece.starts_with(start));
        used.extend(exception);
        if exception.is_none() && !is_followed(&piece, &steps) {
            findings.push(format!("{place}: {piece}"));
        }
    }
    findings.extend(
        TIPS.iter()
            .filter(|tip| !is_followed(tip, &steps))
            .map(|tip| tip.to_string()),
    );
    let stale = EXCEPTIONS
        .iter()
        .filter(|exception| !used.contains(exception));
    findings.extend(stale.map(|(piece, _)| format!("an exception without advice: {piece}")));
    none(
        "advice without a case in tests/cli that fails with it, and succeeds by it",
        &findings,
    );
}

/// Returns the pieces of advice in the messages of the program, each with its place.
fn advice() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for source in crate_sources(|name| !["rtune-testkit", "xtask"].contains(&name)) {
        if source.is_test() {
            continue;
        }
        for (literal, span) in strings(&source.tokens()) {
            let pieces = pieces(&unescaped(&literal)).into_iter();
            found.extend(pieces.map(|piece| (source.place(span), piece)));
        }
    }
    assert!(found.len() > 60, "advice is missing");
    found
}

/// Returns the text of a string literal.
fn unescaped(literal: &str) -> String {
    let mut text = String::new();
    let content = literal
        .split_once('"')
        .and_then(|(_, text)| text.rsplit_once('"'));
    let mut chars = content.map_or("", |(text, _)| text).chars().peekable();
    while let Some(c) = chars.next() {
        if c != '\\' {
            text.push(c);
            continue;
        }
        match chars.next() {
            Some('n') => text.push('\n'),
            Some('\n') => while chars.next_if(|c| c.is_whitespace()).is_some() {},
            Some(other) => text.push(other),
            None => {}
        }
    }
    text
}

/// Returns the parts of a text that begin with an imperative or are a question, each to the end of
/// its sentence.
fn pieces(text: &str) -> Vec<String> {
    const STARTS: [&str; 9] = [
        ": ",
        ", ",
        ". ",
        " (",
        " so ",
        " or ",
        " and ",
        " then ",
        "otherwise ",
    ];
    let mut found = Vec::new();
    for sentence in text
        .split(['\n', ';'])
        .map(|sentence| format!(" {}", sentence.trim()))
    {
        let mut starts = vec![1];
        for mark in STARTS {
            starts.extend(sentence.match_indices(mark).map(|(at, _)| at + mark.len()));
        }
        starts.sort_unstable();
        let is_advice = |at: &usize| {
            let part = &sentence[*at..];
            let Some((word, _)) = part.split_once([' ', ',']) else {
                return false;
            };
            let is_question = part.ends_with('?') && QUESTIONS.contains(&word);
            let is_hint = HINTS.iter().any(|hint| part.starts_with(hint));
            let is_fact = NO_ADVICE.iter().any(|start| part.starts_with(start));
            (is_question || is_hint || IMPERATIVES.contains(&word)) && !is_fact
        };
        let first = starts.into_iter().find(is_advice);
        found.extend(first.map(|at| sentence[at..].to_owned()));
    }
    found
}

/// A command of a case: the case, its messages, and whether it succeeds.
struct Step {
    case: String,
    messages: String,
    is_success: bool,
}

/// Returns the commands of all cases, in their order.
fn steps() -> Vec<Step> {
    let mut steps = Vec::new();
    for entry in std::fs::read_dir(root().join("tests/cli")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|ending| ending != "txt") {
            continue;
        }
        let text = format!("\n{}", std::fs::read_to_string(&path).unwrap());
        let commands = text.split("\n$ rtune ").skip(1);
        steps.extend(commands.map(|command| {
            let lines = command.lines().skip(1);
            let messages = lines.take_while(|line| !line.starts_with("> "));
            let messages: Vec<&str> = messages.collect();
            Step {
                case: path.display().to_string(),
                is_success: messages.first() == Some(&"exit 0"),
                messages: messages.join("\n"),
            }
        }));
    }
    steps
}

/// True if a command fails with a piece of advice, and the next one of the case succeeds.
fn is_followed(piece: &str, steps: &[Step]) -> bool {
    let shows = |step: &Step| !step.is_success && holds(&step.messages, piece);
    steps.iter().enumerate().any(|(index, step)| {
        let mut later = steps[index..].iter().skip_while(|later| shows(later));
        let next = later.next().filter(|next| next.case == step.case);
        shows(step) && next.is_some_and(|next| next.is_success)
    })
}

/// True if a message holds a piece of a string, whatever stands for its `{…}`.
fn holds(message: &str, piece: &str) -> bool {
    // The command line shows the settings of libraries as flags.
    let plain = |text: &str| text.replace("--", "").replace('_', "-");
    let (message, piece) = (plain(message), plain(piece));
    let mut rest = message.as_str();
    for part in piece.split('{') {
        let part = part.split_once('}').map_or(part, |(_, after)| after);
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    true
}

#[test]
fn advice_is_found_in_strings() {
    for (text, expected) in [
        (
            "{path}: is empty; remove it or fill it",
            &["remove it or fill it"][..],
        ),
        ("a; or give --x; is it y?", &["give --x", "is it y?"]),
        (
            "this needs 13 or newer, so export it anew",
            &["export it anew"],
        ),
        ("operator set {0} is the number of nodes, remove", &[]),
    ] {
        assert_eq!(pieces(text), expected, "{text}");
    }
    assert_eq!(unescaped("\"a \\\n   b \\\"c\\\"\""), "a b \"c\"");
    assert!(holds("error: a; write --model now", "write --{name} now"));
    assert!(!holds("error: a; write --model", "write --{name} now"));
}
