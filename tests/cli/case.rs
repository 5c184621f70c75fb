//! The text of a case: directives of the set-up, commands, expectations.

use rtune_testkit::{program, runtime_library};
use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};

/// A case file in parts.
pub(crate) struct Case<'a> {
    /// All text before the first command.
    pub(crate) header: &'a str,
    pub(crate) directives: Vec<Directive<'a>>,
    pub(crate) steps: Vec<Step<'a>>,
}

/// A command, and the changes before it that follow from the command above.
pub(crate) struct Step<'a> {
    /// The lines of the changes, each with its mark.
    pub(crate) changes: String,
    pub(crate) directives: Vec<Directive<'a>>,
    /// The command without the prompt.
    pub(crate) command: &'a str,
}

/// One step of the set-up: a line of words, and the lines below it that start with `|`.
pub(crate) struct Directive<'a> {
    pub(crate) words: Vec<&'a str>,
    pub(crate) block: Vec<&'a str>,
}

/// The prompt of a command.
const PROMPT: &str = "$ rtune ";
/// The mark of a change of the set-up between two commands.
const CHANGE: &str = "> ";

impl<'a> Case<'a> {
    pub(crate) fn parse(text: &'a str) -> Result<Self, String> {
        let start = text.find(PROMPT).ok_or("the file holds no `$ rtune`")?;
        let (header, rest) = text.split_at(start);
        let mut steps = Vec::new();
        let mut changes = Vec::new();
        for line in rest.lines() {
            if let Some(command) = line.strip_prefix(PROMPT) {
                let lines: Vec<&str> = std::mem::take(&mut changes);
                let plain = lines.iter().map(|line| line.trim_start_matches(CHANGE));
                steps.push(Step {
                    changes: lines.iter().map(|line| format!("{line}\n")).collect(),
                    directives: directives(plain)?,
                    command,
                });
            } else if line.starts_with(CHANGE) || line.starts_with('|') && !changes.is_empty() {
                changes.push(line);
            }
        }
        Ok(Self {
            header,
            directives: directives(header.lines())?,
            steps,
        })
    }
}

fn directives<'a>(lines: impl Iterator<Item = &'a str>) -> Result<Vec<Directive<'a>>, String> {
    let mut directives: Vec<Directive<'_>> = Vec::new();
    for line in lines.filter(|line| !line.is_empty()) {
        if let Some(content) = line.strip_prefix('|') {
            let content = content.strip_prefix(' ').unwrap_or(content);
            let last = directives.last_mut().ok_or("a block without directive")?;
            last.block.push(content);
        } else {
            directives.push(Directive {
                words: line.split_whitespace().collect(),
                block: Vec::new(),
            });
        }
    }
    Ok(directives)
}

/// Runs a command in `folder` and returns it with exit code and messages, as a case holds them.
/// Also returns whether it succeeded.
///
/// `< FILE` gives the command a file as its standard input. `&& cat FILE` shows a file that it
/// wrote, and `&& cat -` its standard output, with `#` for what follows from the training: numbers
/// that have decimals, labels that a model predicts, and comparisons of metrics.
pub(crate) fn run(
    command: &str,
    folder: &Path,
    environment: &[(String, String)],
) -> Result<(String, bool), String> {
    let mut arguments = words(command)?;
    let shown = tail(&mut arguments, &["&&", "cat"]);
    let input = tail(&mut arguments, &["<"]);
    let input = match input {
        Some(file) => File::open(folder.join(file)).map(Stdio::from),
        None => Ok(Stdio::null()),
    };
    let output = Command::new(program())
        .env("ORT_DYLIB_PATH", runtime_library())
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .current_dir(folder)
        .args(arguments)
        .stdin(input.map_err(|error| error.to_string())?)
        .output()
        .map_err(|error| error.to_string())?;
    let place = folder.canonicalize().map_err(|error| error.to_string())?;
    let stderr =
        String::from_utf8_lossy(&output.stderr).replace(&*place.to_string_lossy(), "[DIR]");
    // Help that clap adds below the message changes with its version.
    let message: Vec<&str> = stderr
        .lines()
        .take_while(|line| !line.starts_with("Usage:"))
        .filter(|line| !line.is_empty())
        .collect();
    let code = output.status.code();
    let code = code.map_or_else(|| output.status.to_string(), |code| code.to_string());
    let is_success = output.status.success();
    // The progress of training and warnings about its result are not held: their numbers differ
    // between machines.
    let start = message.iter().position(|line| line.starts_with("error: "));
    let is_progress = |index: usize, line: &str| {
        let is_before = start.is_none_or(|start| index < start);
        let is_of_training = command.starts_with("finetune ") && !line.starts_with("note: ");
        is_before && (is_of_training || line.starts_with("warning: "))
    };
    let lines = message.iter().enumerate();
    let kept = lines.filter(|(index, line)| !is_progress(*index, line));
    let message: String = kept.map(|(_, line)| format!("{line}\n")).collect();
    let content = match shown.as_deref() {
        Some("-") => output.stdout,
        Some(file) => match std::fs::read(folder.join(file)) {
            Err(error) if is_success => return Err(error.to_string()),
            content => content.unwrap_or_default(),
        },
        None => Vec::new(),
    };
    let content = without_outcomes(&masked(&String::from_utf8_lossy(&content)));
    let content: String = content.lines().map(|line| format!("| {line}\n")).collect();
    let text = format!("{PROMPT}{command}\nexit {code}\n{message}{content}");
    Ok((text, is_success))
}

/// Returns the file that a command shows, if it shows one.
pub(crate) fn shown(command: &str) -> Option<String> {
    tail(&mut words(command).ok()?, &["&&", "cat"])
}

/// Removes the last word and the words before it, if those are `marks`, and returns the last one.
fn tail(words: &mut Vec<String>, marks: &[&str]) -> Option<String> {
    let start = words.len().checked_sub(marks.len() + 1)?;
    if words[start..words.len() - 1] != *marks {
        return None;
    }
    let last = words.pop();
    words.truncate(start);
    last
}

/// Replaces each number that has decimals by `#`: its last digits differ between machines.
fn masked(text: &str) -> String {
    let mut masked = String::new();
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        let is_part = |c: char| c.is_ascii_digit() || ".e-".contains(c);
        let end = rest[start..].find(|c| !is_part(c));
        let end = end.map_or(rest.len(), |length| start + length);
        let word = &rest[start..end];
        let is_decimal = word.contains('.') && word.parse::<f64>().is_ok();
        let before = &rest[..start];
        masked += match is_decimal {
            true => before.strip_suffix('-').unwrap_or(before),
            false => before,
        };
        masked += if is_decimal { "#" } else { word };
        rest = &rest[end..];
    }
    masked + rest
}

/// Replaces the labels of the tiny model, which stand before a score, and the outcome of a gate by
/// `#`: they change with the recipe of the training.
fn without_outcomes(masked: &str) -> String {
    let mut text = masked.to_owned();
    for label in ["0", "1", "2"] {
        for separator in [",", "\t"] {
            let row = |label: &str| format!("{separator}{label}{separator}#");
            text = text.replace(&row(label), &row("#"));
        }
        let field = |label: &str| format!("\"label\":\"{label}\"");
        text = text.replace(&field(label), &field("#"));
    }
    for outcome in ["the same", "worse by # %", "better by # %"] {
        text = text.replace(&format!(" is {outcome}; "), " is #; ");
    }
    text
}

/// Splits a command at spaces, but not within quotes of either kind.
fn words(command: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut rest = command.trim_start();
    while !rest.is_empty() {
        let quote = ['"', '\'']
            .into_iter()
            .find(|quote| rest.starts_with(*quote));
        let (word, tail) = match quote {
            Some(quote) => rest[1..].split_once(quote).ok_or("a quote is not closed")?,
            None => rest.split_once(' ').unwrap_or((rest, "")),
        };
        words.push(word.to_owned());
        rest = tail.trim_start();
    }
    Ok(words)
}

/// Fails if a message names a flag that its command does not have. Flags that the command line
/// itself names, and those of commands in backticks, are left out.
pub(crate) fn check_flags(command: &str, text: &str) -> Result<(), String> {
    let messages = text.lines().filter(|line| !line.starts_with(PROMPT));
    let messages: Vec<&str> = messages.collect();
    let messages = messages.join("\n");
    let outside = messages.split('`').step_by(2);
    let named: Vec<&str> = outside.flat_map(flags).collect();
    if named.is_empty() {
        return Ok(());
    }
    let name = command.split(' ').next().unwrap_or_default();
    let help = Command::new(program()).args([name, "--help"]).output();
    let help = help.map_err(|error| error.to_string())?.stdout;
    let help = String::from_utf8_lossy(&help).into_owned();
    let known: Vec<&str> = flags(&help).chain(flags(command)).collect();
    match named.iter().find(|flag| !known.contains(*flag)) {
        Some(flag) => Err(format!(
            "`{command}` says {flag}, which `{name}` does not have"
        )),
        None => Ok(()),
    }
}

/// Returns the flags in a text.
fn flags(text: &str) -> impl Iterator<Item = &str> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    let words = text.split(move |c: char| !is_part(c));
    words.filter(|word| {
        let name = word.strip_prefix("--").unwrap_or_default();
        name.starts_with(|c: char| c.is_ascii_lowercase())
    })
}
