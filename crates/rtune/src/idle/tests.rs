use super::*;
use crate::arguments;
use crate::cli::Cli;
use clap::{Arg, CommandFactory as _};
use std::collections::BTreeSet;
use std::ffi::OsString;

fn flags(command: &Command) -> impl Iterator<Item = &str> {
    let known = command.get_arguments().filter_map(Arg::get_long);
    known.filter(|name| *name != "config")
}

#[test]
fn every_flag_of_every_command_has_one_row() {
    let cli = Cli::command();
    for command in cli.get_subcommands() {
        let name = command.get_name();
        let row = TABLE.iter().find(|row| row.command == name);
        let row = row.unwrap_or_else(|| panic!("{name} has no row"));
        let idle = row.idle.iter().map(|(flag, _)| *flag);
        let rows: Vec<&str> = row.always.iter().copied().chain(idle).collect();
        let unique: BTreeSet<&str> = rows.iter().copied().collect();
        assert_eq!(unique.len(), rows.len(), "{name}: a flag has two rows");
        assert_eq!(unique, flags(command).collect(), "{name}");
    }
    assert_eq!(TABLE.len(), cli.get_subcommands().count());
}

/// Returns an argument for a flag: its first possible value, an address, or a 1, which is a path as
/// well.
fn example(command: &Command, name: &str) -> OsString {
    let arg = find(command, name).unwrap();
    let values = arg.get_value_parser().possible_values();
    let value = values.and_then(|mut values| values.next());
    let other = match arg.get_value_names() {
        Some([name]) if name.as_str() == "URL" => "http://127.0.0.1",
        _ => "1",
    };
    let value = value.map_or(other.to_owned(), |value| value.get_name().to_owned());
    match arguments::takes_value(arg) {
        true => format!("--{name}={value}").into(),
        false => format!("--{name}").into(),
    }
}

/// Returns the flags that a command needs in any case.
fn needed(command: &Command, but: &str) -> Vec<OsString> {
    let required = command.get_arguments().filter(|arg| arg.is_required_set());
    let names = required
        .filter_map(Arg::get_long)
        .filter(|name| *name != but);
    names.map(|name| example(command, name)).collect()
}

/// Returns the arguments that make a flag idle, and the end of the message.
fn trigger(command: &Command, cause: Cause, folder: &Path) -> (Vec<OsString>, String) {
    let texts = folder.join("texts.txt");
    match cause {
        With(VALUES) => (
            vec!["a text".into()],
            "with `a text` on the command line; remove one of them".to_owned(),
        ),
        With(name) => (
            vec![example(command, name)],
            format!("with --{name}; remove one of them"),
        ),
        Without(name) => (
            Vec::new(),
            format!("without --{name}; add that, or remove this"),
        ),
        Is(name, value) => (
            vec![format!("--{name}={value}").into()],
            format!("with --{name} {value}; remove it"),
        ),
        IsNot(name, value) => {
            let parser = find(command, name).unwrap().get_value_parser();
            let mut others = parser.possible_values().unwrap();
            let other = others.find(|other| other.get_name() != value).unwrap();
            let other = other.get_name();
            (
                vec![format!("--{name}={other}").into()],
                format!("with --{name} {other}; remove it"),
            )
        }
        NoColumns(names) | NoTable(names) => {
            let texts = texts.display();
            let what = match cause {
                NoTable(_) => "is no table with separators",
                _ => "has no columns",
            };
            (
                vec![format!("--{}={texts}", names[0]).into()],
                format!("on {texts}, which {what}; remove it"),
            )
        }
    }
}

/// Each row of the table is an error, and following the message ends it: without the flag the
/// command line is accepted, and where the message names a flag to add, with that flag.
#[test]
fn idle_flags_are_errors_whose_advice_works() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("texts.txt"), "a text\n").unwrap();
    let cli = Cli::command();
    let mut cases = 0;
    for row in TABLE {
        let command = cli.find_subcommand(row.command).unwrap();
        for (flag, causes) in row.idle {
            for cause in *causes {
                let (trigger, message) = trigger(command, *cause, folder.path());
                let mut base = vec!["rtune".into(), row.command.into()];
                let given = trigger.iter().filter_map(|argument| argument.to_str());
                let given: Vec<&str> = given.filter_map(|text| text.split('=').next()).collect();
                let needed = needed(command, "").into_iter().filter(|argument| {
                    let name = argument.to_str().and_then(|text| text.split('=').next());
                    !given.contains(&name.unwrap_or_default())
                });
                base.extend(needed);
                // The model of `inspect` is a value without a flag.
                if row.command == "inspect" && *cause != With(VALUES) {
                    base.push("m".into());
                }
                base.extend(trigger);
                let idle = [&base[..], &[example(command, flag)]].concat();
                let error = arguments::parse(&idle).unwrap_err().to_string();
                assert_eq!(error, format!("--{flag} has no effect {message}"));
                arguments::parse(&base).unwrap();
                if let Without(other) = cause {
                    let both = [&idle[..], &[example(command, other)]].concat();
                    arguments::parse(&both).unwrap();
                }
                cases += 1;
            }
        }
    }
    assert!(cases > 14, "{cases}");
}
