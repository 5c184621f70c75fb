//! Flags and values of a command line.

use super::{Flag, Given, Origin, begins_with_dash, find, joined, takes_value};
use crate::exit::usage;
use crate::flags::is_list;
use crate::other_names;
use anyhow::Result;
use clap::{Arg, Command};
use std::ffi::{OsStr, OsString};
use std::iter::Peekable;
use std::path::Path;

/// Sorts the arguments of a command into flags and values.
///
/// # Errors
/// If a flag is given twice, is one of another tool, or has one hyphen, or if a value belongs to no
/// flag. The message names all of them.
pub(super) fn scan(command: &Command, arguments: &[OsString]) -> Result<Given> {
    let mut scan = Scan {
        command,
        takes_values: command.get_positionals().next().is_some(),
        rest: arguments.iter().peekable(),
        given: Given::default(),
        problems: Vec::new(),
    };
    while let Some(argument) = scan.rest.next() {
        match argument.to_str() {
            Some("--") => {
                scan.given.values.extend(scan.rest.cloned());
                break;
            }
            Some(text) if is_flag(text) => scan.flag(text),
            // Clap knows what it is.
            None if begins_with_dash(argument) => scan.given.unknown.push(argument.clone()),
            _ => scan.value(argument),
        }
    }
    match joined(scan.problems, "arguments") {
        None => Ok(scan.given),
        Some(problems) => Err(usage(problems)),
    }
}

struct Scan<'a> {
    command: &'a Command,
    /// True if the command takes values without a flag.
    takes_values: bool,
    rest: Peekable<std::slice::Iter<'a, OsString>>,
    given: Given,
    problems: Vec<String>,
}

impl Scan<'_> {
    fn value(&mut self, value: &OsStr) {
        let Given { flags, unknown, .. } = &self.given;
        if !self.takes_values && unknown.is_empty() {
            let is_config = Path::new(value).extension() == Some(OsStr::new("toml"));
            let problem = match flags.is_empty() {
                true if is_config => {
                    let value = value.to_string_lossy();
                    Some(format!(
                        "{value}: a value without a flag; write --config {value}"
                    ))
                }
                true => None,
                false => Some(self.stray(value)),
            };
            self.problems.extend(problem);
        }
        self.given.values.push(value.to_owned());
    }

    fn flag(&mut self, text: &str) {
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(OsString::from(value))),
            None => (text, None),
        };
        let name = name.trim_start_matches("--");
        let Some(arg) = find(self.command, name) else {
            return self.other(name, text);
        };
        let takes_values = self.takes_values;
        let value = value.or_else(|| match takes_value(arg) {
            true => self.rest.next_if(|next| is_value(next)).cloned(),
            false => {
                let is_own = |next: &&OsString| !takes_values && is_truth(next);
                self.rest.next_if(is_own).cloned()
            }
        });
        match flag(arg, value) {
            Err(problem) => self.problems.push(problem),
            Ok(None) => self.given.unknown.push(text.into()),
            Ok(Some(flag)) if self.given.flag(&flag.name).is_some() => {
                let name = flag.name;
                let problem = format!("--{name} is given twice; remove one of them");
                self.problems.push(problem);
            }
            Ok(Some(flag)) => self.given.flags.push(flag),
        }
    }

    /// Explains a name that is no flag of the command; if there is nothing to say, clap does.
    fn other(&mut self, name: &str, text: &str) {
        let checked = other_names::check(self.command, name, &format!("--{name}"));
        if let Err(problem) = checked {
            self.problems.push(problem);
        } else if name.starts_with('-') && !["-h", "-V"].contains(&name) {
            self.problems.push(one_dash(self.command, text, &name[1..]));
        } else {
            return self.given.unknown.push(text.into());
        }
        // Its value is no problem of its own.
        self.rest
            .next_if(|next| !self.takes_values && is_value(next));
    }

    /// Explains a value that no flag takes, after flags of a command that takes no other values.
    fn stray(&mut self, value: &OsStr) -> String {
        let text = value.to_string_lossy();
        let Some(last) = self.given.flags.last() else {
            return format!("{text}: a value without a flag");
        };
        let name = &last.name;
        let Some(first) = last.value.as_ref() else {
            return format!("{text}: a value without a flag; --{name} takes none");
        };
        let rest = &mut self.rest;
        let more: Vec<_> = std::iter::from_fn(|| rest.next_if(|next| is_value(next))).collect();
        if find(self.command, name).is_some_and(is_list) {
            let words = [first.as_os_str(), value].into_iter();
            let words = words.chain(more.into_iter().map(OsString::as_os_str));
            let words = words.map(OsStr::to_string_lossy);
            let words: Vec<String> = words
                .map(|word| word.trim_matches(',').to_owned())
                .collect();
            return format!(
                "{text}: a value without a flag; write --{name} {}",
                words.join(",")
            );
        }
        format!(
            "{text}: a value without a flag; if it belongs to --{name}, put the whole value in \
             quotes"
        )
    }
}

/// Returns a flag of the command line; none if it lacks its value.
fn flag(arg: &Arg, value: Option<OsString>) -> Result<Option<Flag>, String> {
    let name = arg.get_long().unwrap_or_default().to_owned();
    let value = match (takes_value(arg), value) {
        (true, None) => return Ok(None),
        (true, value) => value,
        (false, None) => None,
        (false, Some(value)) if is_truth(&value) => Some(value.to_ascii_lowercase()),
        (false, Some(value)) => {
            let value = value.to_string_lossy();
            return Err(format!(
                "--{name} takes true, false or no value, found `{value}`"
            ));
        }
    };
    Ok(Some(Flag {
        name,
        value,
        origin: Origin::Line,
    }))
}

/// Explains `-model`.
fn one_dash(command: &Command, text: &str, name: &str) -> String {
    if let Some(name) = find(command, name).and_then(Arg::get_long) {
        return format!("{text}: flags begin with two hyphens; write --{name}");
    }
    let takes_values = command.get_positionals().next().is_some();
    let remedy = match takes_values {
        true => "; if it is a value, put it after `--`",
        false => "",
    };
    format!("{text}: no such flag; flags begin with two hyphens{remedy}")
}

fn is_truth(value: &OsStr) -> bool {
    ["true", "false"]
        .iter()
        .any(|truth| value.eq_ignore_ascii_case(truth))
}

/// True for `-x`, `--name` and `--name=value`, and false for `-1`, `-`, and a text such as
/// `-5 degrees`.
fn is_flag(text: &str) -> bool {
    let name = text.split('=').next().unwrap_or_default();
    let letters = name.trim_start_matches('-');
    let dashes = name.len() - letters.len();
    (1..=2).contains(&dashes)
        && letters.starts_with(|c: char| c.is_ascii_alphabetic())
        && letters
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
}

/// True if an argument after a flag is its value.
fn is_value(argument: &OsStr) -> bool {
    let text = argument.to_str().unwrap_or_default();
    !(["--", "-h", "-V"].contains(&text) || text.starts_with("--") && is_flag(text))
}
