//! Flags and values of a command line.

use super::{Flag, Given, Origin, begins_with_dash, find, takes_value};
use crate::exit::usage;
use crate::flags::is_list;
use crate::other_names;
use anyhow::Result;
use clap::{Arg, Command};
use std::ffi::{OsStr, OsString};

/// Sorts the arguments of a command into flags and values.
///
/// # Errors
/// If a flag is given twice, is one of another tool, or has one hyphen, or if a value belongs to no
/// flag.
pub(super) fn scan(command: &Command, arguments: &[OsString]) -> Result<Given> {
    let mut given = Given::default();
    let takes_values = command.get_positionals().next().is_some();
    let mut rest = arguments.iter().peekable();
    while let Some(argument) = rest.next() {
        let text = argument.to_str().unwrap_or_default();
        if text == "--" {
            given.values.extend(rest.cloned());
            break;
        }
        if text.is_empty() && begins_with_dash(argument) {
            // Not UTF-8; clap knows what it is.
            given.unknown.push(argument.clone());
            continue;
        }
        if !begins_with_dash(argument) || !is_flag(text) {
            if !takes_values && !given.flags.is_empty() && given.unknown.is_empty() {
                return Err(usage(stray(command, &given, argument, &mut rest)));
            }
            given.values.push(argument.clone());
            continue;
        }
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(OsString::from(value))),
            None => (text, None),
        };
        let name = name.trim_start_matches("--");
        let Some(arg) = find(command, name) else {
            other_names::check(command, name, &format!("--{name}"))?;
            if name.starts_with('-') && !["-h", "-V"].contains(&name) {
                return Err(usage(one_dash(command, text, &name[1..])));
            }
            given.unknown.push(argument.clone());
            continue;
        };
        let value = value.or_else(|| match takes_value(arg) {
            true => rest.next_if(|next| is_value(next)).cloned(),
            false => rest
                .next_if(|next| !takes_values && is_truth(next))
                .cloned(),
        });
        match flag(arg, value)? {
            Some(flag) if given.flag(&flag.name).is_some() => {
                let name = flag.name;
                return Err(usage(format!(
                    "--{name} is given twice; remove one of them"
                )));
            }
            Some(flag) => given.flags.push(flag),
            None => given.unknown.push(argument.clone()),
        }
    }
    Ok(given)
}

/// Returns a flag of the command line; none if it lacks its value.
fn flag(arg: &Arg, value: Option<OsString>) -> Result<Option<Flag>> {
    let name = arg.get_long().unwrap_or_default().to_owned();
    let value = match (takes_value(arg), value) {
        (true, None) => return Ok(None),
        (true, value) => value,
        (false, None) => None,
        (false, Some(value)) if is_truth(&value) => Some(value.to_ascii_lowercase()),
        (false, Some(value)) => {
            let value = value.to_string_lossy();
            return Err(usage(format!(
                "--{name} takes true, false or no value, found `{value}`"
            )));
        }
    };
    Ok(Some(Flag {
        name,
        value,
        origin: Origin::Line,
    }))
}

/// Explains a value that no flag takes, after flags of a command that takes no other values.
fn stray<'a>(
    command: &Command,
    given: &Given,
    value: &OsStr,
    rest: &mut impl Iterator<Item = &'a OsString>,
) -> String {
    let text = value.to_string_lossy();
    let Some(last) = given.flags.last() else {
        return format!("{text}: a value without a flag");
    };
    let name = &last.name;
    let Some(first) = last.value.as_ref() else {
        return format!("{text}: a value without a flag; --{name} takes none");
    };
    let more = rest
        .take_while(|next| is_value(next))
        .map(|next| next.to_string_lossy());
    let words = [first.to_string_lossy(), text.clone()]
        .into_iter()
        .chain(more);
    if find(command, name).is_some_and(is_list) {
        let words: Vec<String> = words
            .map(|word| word.trim_matches(',').to_owned())
            .collect();
        return format!(
            "{text}: a value without a flag; write --{name} {}",
            words.join(",")
        );
    }
    format!(
        "{text}: a value without a flag; if it belongs to --{name}, put the whole value in quotes"
    )
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
