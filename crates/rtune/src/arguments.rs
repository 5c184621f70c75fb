//! The command line and the config file as one list of flags, which clap then checks.
//!
//! Clap alone takes `-1` for a flag, keeps apart `--learning_rate` and `--learning-rate`, and does
//! not know the line of a config file that a flag comes from.

use crate::cli::Cli;
use crate::exit::usage;
use crate::{config_file, idle, trainer};
use anyhow::Result;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, Command, CommandFactory as _, Parser as _};
use std::error::Error as _;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// The place that a flag comes from. A later one wins.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Origin {
    /// The part of a config file that several commands share.
    Shared(Place),
    /// The table of the command in a config file, or a config file without tables.
    File(Place),
    /// The command line.
    Line,
}

/// A key of a config file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) file: PathBuf,
    pub(crate) line: usize,
    pub(crate) key: String,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { file, line, key } = self;
        write!(f, "{}, line {line}: `{key}`", file.display())
    }
}

/// A flag that is given, by its own name whatever alias was written.
#[derive(Debug, Clone)]
pub(crate) struct Flag {
    pub(crate) name: String,
    pub(crate) value: Option<OsString>,
    pub(crate) origin: Origin,
}

impl Flag {
    /// Returns the flag as one argument.
    fn argument(&self) -> OsString {
        let mut argument = OsString::from(format!("--{}", self.name));
        if let Some(value) = &self.value {
            argument.push("=");
            argument.push(value);
        }
        argument
    }
}

/// All that is given to a command.
#[derive(Debug, Default)]
pub(crate) struct Given {
    pub(crate) flags: Vec<Flag>,
    /// Texts and other arguments without a flag.
    pub(crate) values: Vec<OsString>,
    /// Arguments that are no flag of the command. Clap says why.
    unknown: Vec<OsString>,
}

impl Given {
    /// Returns a flag.
    pub(crate) fn flag(&self, name: &str) -> Option<&Flag> {
        self.flags.iter().find(|flag| flag.name == name)
    }

    /// Returns the arguments as clap takes them.
    fn arguments(&self, program: &OsStr, command: &str) -> Vec<OsString> {
        let mut arguments = vec![program.to_owned(), command.into()];
        arguments.extend(self.unknown.iter().cloned());
        arguments.extend(self.flags.iter().map(Flag::argument));
        if self.values.iter().any(|value| begins_with_dash(value)) {
            arguments.push("--".into());
        }
        arguments.extend(self.values.iter().cloned());
        arguments
    }
}

/// Parses the arguments of the program and the config file that they name.
///
/// # Errors
/// If a flag is unknown, repeated, without effect or without a value that it takes, or the file
/// cannot be used. Requests for help are errors of clap's.
pub(crate) fn parse(arguments: &[OsString]) -> Result<Cli> {
    let cli = Cli::command();
    let name = arguments.get(1).and_then(|name| name.to_str());
    let command = name.and_then(|name| cli.find_subcommand(name));
    let (Some(command), Some(program)) = (command, arguments.first()) else {
        return Ok(Cli::try_parse_from(arguments)?);
    };
    let mut given = scan(command, &arguments[2..])?;
    let config = given.flag("config").and_then(|flag| flag.value.clone());
    if let Some(path) = config {
        let from_file = config_file::read(Path::new(&path), command, &cli)?;
        let new = from_file.into_iter();
        let new: Vec<Flag> = new
            .filter(|flag| given.flag(&flag.name).is_none())
            .collect();
        given.flags.extend(new);
    }
    let parse = |given: &Given| {
        let arguments = given.arguments(program, command.get_name());
        Cli::try_parse_from(arguments).map_err(|error| explain(error, given))
    };
    let parsed = parse(&given)?;
    if idle::remove(command, &mut given)? {
        return parse(&given);
    }
    Ok(parsed)
}

/// Sorts the arguments of a command into flags and values.
fn scan(command: &Command, arguments: &[OsString]) -> Result<Given> {
    let mut given = Given::default();
    let mut rest = arguments.iter().peekable();
    while let Some(argument) = rest.next() {
        let text = argument.to_str().unwrap_or_default();
        if text == "--" {
            given.values.extend(rest.cloned());
            break;
        }
        if !begins_with_dash(argument) || !is_flag(text) {
            given.values.push(argument.clone());
            continue;
        }
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(OsString::from(value))),
            None => (text, None),
        };
        let name = name.trim_start_matches("--");
        let Some(arg) = find(command, name) else {
            trainer::check(name, &format!("--{name}"))?;
            if name.starts_with('-') && !["-h", "-V"].contains(&name) {
                return Err(usage(one_dash(command, text, &name[1..])));
            }
            given.unknown.push(argument.clone());
            continue;
        };
        let value = match takes_value(arg) {
            true => value.or_else(|| rest.next_if(|next| is_value(next)).cloned()),
            false => value,
        };
        if takes_value(arg) == value.is_some() {
            given.flags.push(Flag {
                name: arg.get_long().unwrap_or_default().to_owned(),
                value,
                origin: Origin::Line,
            });
        } else {
            given.unknown.push(argument.clone());
        }
    }
    Ok(given)
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

/// Finds a flag by its name or an alias, with underscores or hyphens.
pub(crate) fn find<'a>(command: &'a Command, name: &str) -> Option<&'a Arg> {
    let name = name.replace('_', "-");
    command.get_arguments().find(|arg| {
        let aliases = arg.get_all_aliases().unwrap_or_default();
        arg.get_long() == Some(&name) || arg.get_long().is_some() && aliases.contains(&&*name)
    })
}

pub(crate) fn takes_value(arg: &Arg) -> bool {
    !matches!(arg.get_action(), ArgAction::SetTrue)
}

fn begins_with_dash(argument: &OsStr) -> bool {
    argument.as_encoded_bytes().starts_with(b"-")
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
    !(text == "--" || text == "-h" || text == "-V" || text.starts_with("--") && is_flag(text))
}

/// Names the place of a value from a config file that clap refuses.
fn explain(error: clap::Error, given: &Given) -> anyhow::Error {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        _ => None,
    };
    let argument = text(ContextKind::InvalidArg).unwrap_or_default();
    let name = argument.trim_start_matches("--").split(' ').next();
    let origin = name
        .and_then(|name| given.flag(name))
        .map(|flag| &flag.origin);
    let Some(Origin::File(place) | Origin::Shared(place)) = origin else {
        return with_file(error, given);
    };
    let value = text(ContextKind::InvalidValue).unwrap_or_default();
    let reason = match (error.kind(), error.get(ContextKind::ValidValue)) {
        (ErrorKind::InvalidValue, Some(ContextValue::Strings(known))) if !known.is_empty() => {
            format!("expected {}", known.join(", "))
        }
        _ => error
            .source()
            .map_or("no such value".to_owned(), ToString::to_string),
    };
    usage(format!("{place}: invalid value `{value}`: {reason}"))
}

/// Says that a flag is missing in the config file as well, if there is one.
fn with_file(error: clap::Error, given: &Given) -> anyhow::Error {
    let file = given.flag("config").and_then(|flag| flag.value.as_ref());
    let missing = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::Strings(missing)) => missing.join(", "),
        _ => return error.into(),
    };
    match (error.kind(), file) {
        (ErrorKind::MissingRequiredArgument, Some(file)) => usage(format!(
            "{missing}: missing on the command line and in {}; give it in one of them",
            Path::new(file).display()
        )),
        _ => error.into(),
    }
}

#[cfg(test)]
mod tests;
