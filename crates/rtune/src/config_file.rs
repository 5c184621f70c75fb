//! `--config FILE.toml`: any flag of the command by its name. Flags on the command line win.

use crate::exit::usage;
use anyhow::Result;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Inserts the flags of a config file between the subcommand and the user's own flags. Also
/// returns the file, if one is given.
pub(crate) fn expand(arguments: Vec<OsString>) -> Result<(Vec<OsString>, Option<PathBuf>)> {
    let Some((path, position, length)) = find(&arguments)? else {
        return Ok((arguments, None));
    };
    let mut rest = arguments;
    rest.drain(position..position + length);
    let at = 2.min(rest.len());
    // Clap joins the values of a list, so flags that the user gives are left out of the file's.
    let given: Vec<String> = rest
        .iter()
        .filter_map(|argument| argument.to_str())
        .filter_map(|text| Some(text.strip_prefix("--")?.split('=').next()?.to_owned()))
        .collect();
    let flags = read(Path::new(&path), &given)?;
    rest.splice(at..at, flags);
    Ok((rest, Some(path.into())))
}

/// Returns the file, the position of `--config`, and the number of arguments that it takes.
fn find(arguments: &[OsString]) -> Result<Option<(OsString, usize, usize)>> {
    for (index, argument) in arguments.iter().enumerate() {
        let Some(text) = argument.to_str() else {
            continue;
        };
        if text == "--" {
            return Ok(None);
        }
        if text == "--config" {
            let path = arguments
                .get(index + 1)
                .ok_or_else(|| usage("--config needs a file"))?;
            return Ok(Some((path.clone(), index, 2)));
        }
        if let Some(path) = text.strip_prefix("--config=") {
            return Ok(Some((path.into(), index, 1)));
        }
    }
    Ok(None)
}

/// Reads the flags of a file, without those that are `given` already.
fn read(path: &Path, given: &[String]) -> Result<Vec<OsString>> {
    let place = path.display();
    let text = std::fs::read_to_string(path).map_err(|e| usage(format!("{place}: {e}")))?;
    let table: toml::Table = text.parse().map_err(|e| usage(format!("{place}: {e}")))?;
    let mut flags = Vec::new();
    for (key, value) in table {
        let name = key.replace('_', "-");
        if given.contains(&name) {
            continue;
        }
        let flag = format!("--{name}");
        match value {
            toml::Value::Boolean(true) => flags.push(flag.into()),
            toml::Value::Boolean(false) => {}
            toml::Value::Array(values) => {
                let parts = values
                    .iter()
                    .map(|v| scalar(v).ok_or(()))
                    .collect::<Result<Vec<_>, ()>>();
                let parts = parts.map_err(|()| {
                    usage(format!(
                        "{place}: `{key}` holds something that is no flag's value"
                    ))
                })?;
                flags.extend([flag.into(), parts.join(",").into()]);
            }
            other => {
                let text = scalar(&other).ok_or_else(|| {
                    usage(format!(
                        "{place}: `{key}` is a table; flags are plain values"
                    ))
                })?;
                flags.extend([flag.into(), text.into()]);
            }
        }
    }
    Ok(flags)
}

/// Returns a value as the text of one argument, if it is a string or a number.
fn scalar(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Float(number) => Some(number.to_string()),
        _ => None,
    }
}
