//! The command line and the config file as one list of flags, which clap then checks.
//!
//! Clap alone takes `-1` for a flag, keeps apart `--learning_rate` and `--learning-rate`, and does
//! not know the line of a config file that a flag comes from.

mod scan;

use crate::cli::Cli;
use crate::exit::usage;
use crate::{config_file, idle};
use anyhow::Result;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, Command, CommandFactory as _, Parser as _};
use std::error::Error as _;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// The place that a flag comes from. A later one wins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The part of a config file that several commands share.
    Shared(Place),
    /// The table of the command in a config file, or a config file without tables.
    File(Place),
    /// The command line.
    Line,
}

/// A key of a config file.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    fn argument(&self, command: &Command) -> OsString {
        let mut argument = OsString::from(format!("--{}", self.name));
        let takes_value = find(command, &self.name).is_some_and(takes_value);
        if let Some(value) = self.value.as_ref().filter(|_| takes_value) {
            argument.push("=");
            argument.push(value);
        }
        argument
    }

    /// Returns the key of the config file that the flag comes from.
    pub(crate) fn place(&self) -> Option<&Place> {
        match &self.origin {
            Origin::Shared(place) | Origin::File(place) => Some(place),
            Origin::Line => None,
        }
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
    fn arguments(&self, program: &OsStr, command: &Command) -> Vec<OsString> {
        let mut arguments = vec![program.to_owned(), command.get_name().into()];
        arguments.extend(self.unknown.iter().cloned());
        arguments.extend(self.flags.iter().map(|flag| flag.argument(command)));
        if self.values.iter().any(|value| begins_with_dash(value)) {
            arguments.push("--".into());
        }
        arguments.extend(self.values.iter().cloned());
        arguments
    }
}

/// The command to run, and the flags that come from a config file.
#[derive(Debug)]
pub(crate) struct Parsed {
    pub(crate) cli: Cli,
    pub(crate) from_file: Vec<Flag>,
}

/// Parses the arguments of the program and the config file that they name.
///
/// # Errors
/// If a flag is unknown, repeated, without effect or without a value that it takes, or the file
/// cannot be used. Requests for help are errors of clap's.
pub(crate) fn parse(arguments: &[OsString]) -> Result<Parsed> {
    let cli = Cli::command();
    let name = arguments.get(1).and_then(|name| name.to_str());
    let command = name.and_then(|name| cli.find_subcommand(name));
    let (Some(command), Some(program)) = (command, arguments.first()) else {
        return Ok(Parsed {
            cli: Cli::try_parse_from(arguments)?,
            from_file: Vec::new(),
        });
    };
    let mut given = scan::scan(command, &arguments[2..])?;
    let config = given.flag("config").and_then(|flag| flag.value.clone());
    if let Some(path) = config {
        let from_file = config_file::read(Path::new(&path), command, &cli)?;
        let is_new = |flag: &Flag| given.flag(&flag.name).is_none();
        let new: Vec<Flag> = from_file.into_iter().filter(is_new).collect();
        given.flags.extend(new);
    }
    given.flags.retain(|flag| !is_off(command, flag));
    let parse = |given: &Given| {
        let arguments = given.arguments(program, command);
        Cli::try_parse_from(arguments).map_err(|error| explain(error, given))
    };
    let mut cli = parse(&given)?;
    if idle::remove(command, &mut given)? {
        cli = parse(&given)?;
    }
    let is_from_file = |flag: &Flag| flag.origin != Origin::Line;
    let from_file = given.flags.into_iter().filter(is_from_file).collect();
    Ok(Parsed { cli, from_file })
}

/// Returns all problems as one message: the only one, or one on each line.
pub(crate) fn joined(mut problems: Vec<String>, what: &str) -> Option<String> {
    let count = problems.len();
    if count < 2 {
        return problems.pop();
    }
    let lines: String = problems
        .iter()
        .map(|problem| format!("\n  {problem}"))
        .collect();
    Some(format!("{count} {what} cannot be used{lines}"))
}

/// True if a flag without a value is given the value false, which takes the place of a true one.
fn is_off(command: &Command, flag: &Flag) -> bool {
    let is_switch = find(command, &flag.name).is_some_and(|arg| !takes_value(arg));
    is_switch && flag.value.as_deref() == Some(OsStr::new("false"))
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

/// Names the place of a value from a config file that clap refuses.
fn explain(error: clap::Error, given: &Given) -> anyhow::Error {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        _ => None,
    };
    let argument = text(ContextKind::InvalidArg).unwrap_or_default();
    let name = argument.trim_start_matches("--").split(' ').next();
    let flag = name.and_then(|name| given.flag(name));
    let Some(place) = flag.and_then(Flag::place) else {
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
