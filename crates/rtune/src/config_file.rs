//! `--config FILE.toml`: any flag by its name. Keys outside of tables are for every command that
//! has the flag, the table of a command is for that command and wins, and the command line wins
//! over both.

use crate::arguments::{Flag, Origin, Place, find, joined, takes_value};
use crate::exit::usage;
use crate::flags::{is_list, is_path};
use crate::{list, other_names};
use anyhow::Result;
use clap::error::{ContextKind, ContextValue};
use clap::{Arg, Command};
use std::ffi::OsString;
use std::path::Path;
use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue};

/// Reads the flags of a command from a file.
///
/// # Errors
/// If the file cannot be read, is not TOML, or has a key or value that the command does not take.
pub(crate) fn read(path: &Path, command: &Command, cli: &Command) -> Result<Vec<Flag>> {
    let place = path.display();
    let bytes = std::fs::read(path).map_err(|e| usage(format!("{place}: {e}")))?;
    let text = String::from_utf8(bytes)
        .map_err(|_| usage(format!("{place}: not UTF-8; save the file as UTF-8")))?;
    let root = DeTable::parse(&text).map_err(|error| {
        let at = error.span().map_or(text.len(), |span| span.start);
        let line = line_of(&text, at);
        usage(format!(
            "{place}, line {line}: not TOML: {}",
            error.message()
        ))
    })?;
    let file = File {
        path,
        text: &text,
        command,
        cli,
        has_tables: root
            .get_ref()
            .values()
            .any(|value| value.get_ref().is_table()),
    };
    let (mut shared, mut own, mut problems) = (Vec::new(), Vec::new(), Vec::new());
    for (key, value) in in_order(root.get_ref()) {
        let name: &str = key.get_ref();
        let DeValue::Table(table) = value.get_ref() else {
            file.add(key, value, true, &mut shared, &mut problems);
            continue;
        };
        // The tables of other commands are checked, too: they are for later.
        let Some(owner) = cli.find_subcommand(name) else {
            problems.push(file.no_command(key));
            continue;
        };
        let (mut flags, of_owner) = (
            Vec::new(),
            File {
                command: owner,
                ..file
            },
        );
        for (key, value) in in_order(table) {
            of_owner.add(key, value, false, &mut flags, &mut problems);
        }
        if owner.get_name() == command.get_name() {
            own = flags;
        }
    }
    if let Some(problems) = joined(problems, "keys") {
        return Err(usage(problems));
    }
    shared.retain(|flag| own.iter().all(|other| other.name != flag.name));
    own.extend(shared);
    Ok(own)
}

/// Returns the entries of a table in the order of the file.
fn in_order<'a, 'b>(table: &'a DeTable<'b>) -> Vec<(&'a Key<'b>, &'a Spanned<DeValue<'b>>)> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries
}

/// Returns the line of a byte of a text, from 1.
fn line_of(text: &str, at: usize) -> usize {
    let before = text.get(..at).unwrap_or(text);
    before.matches('\n').count() + 1
}

/// A config file that is read for a command.
#[derive(Clone, Copy)]
struct File<'a> {
    path: &'a Path,
    text: &'a str,
    command: &'a Command,
    cli: &'a Command,
    has_tables: bool,
}

type Key<'a> = Spanned<std::borrow::Cow<'a, str>>;

impl File<'_> {
    fn place(&self, key: &Key<'_>) -> Place {
        Place {
            file: self.path.to_owned(),
            line: line_of(self.text, key.span().start),
            key: key.get_ref().clone().into_owned(),
        }
    }

    /// Adds the flag of a key to `flags`, or what is wrong with it to `problems`.
    fn add(
        &self,
        key: &Key<'_>,
        value: &Spanned<DeValue<'_>>,
        shared: bool,
        flags: &mut Vec<Flag>,
        problems: &mut Vec<String>,
    ) {
        let flag = match self.flag(key, value, shared) {
            Err(problem) => return problems.push(problem),
            Ok(None) => return,
            Ok(Some(flag)) => flag,
        };
        let earlier = flags.iter().find(|other| other.name == flag.name);
        match (earlier.and_then(Flag::place), flag.place()) {
            (Some(a), Some(b)) => problems.push(format!(
                "{b}: the same flag as `{}`; remove one of them",
                a.key
            )),
            _ => flags.push(flag),
        }
    }

    /// Returns the flag of a key; none if the key is for other commands.
    fn flag(
        &self,
        key: &Key<'_>,
        value: &Spanned<DeValue<'_>>,
        shared: bool,
    ) -> Result<Option<Flag>, String> {
        let place = self.place(key);
        let Some(arg) = find(self.command, key.get_ref()) else {
            return match shared && self.has_tables && self.owner(&place.key).is_some() {
                true => Ok(None),
                false => Err(self.unknown(&place)),
            };
        };
        let name = arg.get_long().unwrap_or_default();
        if name == "config" {
            return Err(format!(
                "{place}: a config file names no other one; remove it"
            ));
        }
        let value = self.value(arg, value.get_ref(), &place)?;
        Ok(Some(Flag {
            name: name.to_owned(),
            value: Some(value),
            origin: match shared && self.has_tables {
                true => Origin::Shared(place),
                false => Origin::File(place),
            },
        }))
    }

    /// Returns a value as the text of one argument. A list is an array, or a string as on the
    /// command line.
    fn value(&self, arg: &Arg, value: &DeValue<'_>, place: &Place) -> Result<OsString, String> {
        let name = arg.get_long().unwrap_or_default().replace('-', "_");
        let problem = |expected: &str| {
            let found = value.type_str();
            format!("{place}: expected {expected}, found a value of type {found}")
        };
        if !takes_value(arg) {
            let value = value.as_bool().ok_or_else(|| problem("true or false"))?;
            return Ok(value.to_string().into());
        }
        if is_list(arg) && !value.is_str() {
            let values = value.as_array();
            let example = format!("an array such as {name} = [\"1\", \"2\"]");
            let values = values.ok_or_else(|| problem(&example))?.iter();
            let values: Option<Vec<String>> = values.map(|v| scalar(v.get_ref())).collect();
            let values = values.filter(|values| !values.is_empty());
            let values = values.ok_or_else(|| problem("some strings or numbers in the array"))?;
            return Ok(list::join(&values).into());
        }
        let text = scalar(value).ok_or_else(|| problem("a string or a number"))?;
        let path = Path::new(&text);
        if is_path(arg) && path.is_relative() && text != "-" && !text.contains("://") {
            let folder = self.path.parent().unwrap_or(Path::new(""));
            return Ok(folder.join(path).into());
        }
        Ok(text.into())
    }

    /// Explains a table that has the name of no command.
    fn no_command(&self, key: &Key<'_>) -> String {
        let Place { file, line, key } = self.place(key);
        let nearest = self.suggestion(&[&key], ContextKind::SuggestedSubcommand);
        let nearest = nearest.map_or(String::new(), |nearest| {
            format!("; the nearest is [{nearest}]")
        });
        format!(
            "{}, line {line}: [{key}]: no command has this name; a table is named after a \
             command{nearest}",
            file.display()
        )
    }

    fn unknown(&self, place: &Place) -> String {
        if let Err(error) = other_names::check(self.command, &place.key, &place.to_string()) {
            return error;
        }
        let command = self.command.get_name();
        if self.cli.find_subcommand(&place.key).is_some() {
            return format!(
                "{place}: is a command; write its flags in one table [{}]",
                place.key
            );
        }
        if let Some(owner) = self.owner(&place.key) {
            return format!(
                "{place}: is a flag of `rtune {owner}`, not of `rtune {command}`; move it to a \
                 table [{owner}]"
            );
        }
        let key = format!("--{}=", place.key.replace('_', "-"));
        let nearest = self.suggestion(&[command, &key], ContextKind::SuggestedArg);
        let nearest = nearest.map_or(String::new(), |nearest| {
            format!(
                "; the nearest is `{}`",
                nearest.trim_start_matches("--").replace('-', "_")
            )
        });
        format!("{place}: `rtune {command}` has no such flag{nearest}")
    }

    /// Returns the first command that has a flag.
    fn owner(&self, key: &str) -> Option<&str> {
        let mut commands = self.cli.get_subcommands();
        commands
            .find(|command| find(command, key).is_some())
            .map(Command::get_name)
    }

    /// Returns what clap suggests in place of wrong arguments.
    fn suggestion(&self, arguments: &[&str], kind: ContextKind) -> Option<String> {
        let arguments = [&["rtune"], arguments].concat();
        let error = self.cli.clone().try_get_matches_from(arguments).err()?;
        match error.get(kind)? {
            ContextValue::String(text) => Some(text.clone()),
            ContextValue::Strings(texts) => texts.first().cloned(),
            _ => None,
        }
    }
}

/// Returns a value as text, if it is a string or a number.
fn scalar(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => integer(number),
        DeValue::Float(number) => Some(number.as_str().to_owned()),
        _ => None,
    }
}

fn integer(number: &DeInteger<'_>) -> Option<String> {
    match number.radix() {
        10 => Some(number.as_str().to_owned()),
        radix => i64::from_str_radix(number.as_str(), radix)
            .ok()
            .map(|number| number.to_string()),
    }
}

#[cfg(test)]
mod tests;
