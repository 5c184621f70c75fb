//! The text of a case: directives of the set-up, commands, expectations.

use rtune_testkit::{program, runtime_library};
use std::path::Path;
use std::process::Command;

/// A case file in parts.
pub(crate) struct Case<'a> {
    /// All text before the first command.
    pub(crate) header: &'a str,
    pub(crate) directives: Vec<Directive<'a>>,
    /// The commands without the prompt.
    pub(crate) commands: Vec<&'a str>,
}

/// One step of the set-up: a line of words, and the lines below it that start with `|`.
pub(crate) struct Directive<'a> {
    pub(crate) words: Vec<&'a str>,
    pub(crate) block: Vec<&'a str>,
}

impl<'a> Case<'a> {
    pub(crate) fn parse(text: &'a str) -> Result<Self, String> {
        let start = text.find("$ rtune").ok_or("the file holds no `$ rtune`")?;
        let (header, rest) = text.split_at(start);
        let mut directives: Vec<Directive<'_>> = Vec::new();
        for line in header.lines().filter(|line| !line.is_empty()) {
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
        let commands = rest
            .lines()
            .filter_map(|line| line.strip_prefix("$ rtune "));
        Ok(Self {
            header,
            directives,
            commands: commands.collect(),
        })
    }
}

/// Runs a command in `folder` and returns it with exit code and messages, as a case holds them.
pub(crate) fn run(
    command: &str,
    folder: &Path,
    environment: &[(String, String)],
) -> Result<String, String> {
    let output = Command::new(program())
        .env("ORT_DYLIB_PATH", runtime_library())
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .current_dir(folder)
        .args(words(command)?)
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
    Ok(format!(
        "$ rtune {command}\nexit {code}\n{}\n",
        message.join("\n")
    ))
}

/// Splits a command at spaces, but not within double quotes.
fn words(command: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut rest = command.trim_start();
    while !rest.is_empty() {
        let (word, tail) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').ok_or("a quote is not closed")?,
            None => rest.split_once(' ').unwrap_or((rest, "")),
        };
        words.push(word.to_owned());
        rest = tail.trim_start();
    }
    Ok(words)
}
