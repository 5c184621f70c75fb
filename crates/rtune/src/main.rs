//! The `rtune` command: flags, wiring, printing, exit codes.

mod advice;
mod arguments;
mod cache;
mod calibration;
mod census;
mod checkpoint_reference;
mod cli;
mod commands;
mod config_file;
mod console;
mod data;
mod exit;
mod exporting;
mod flags;
mod idle;
mod inspection;
mod interrupt;
mod list;
mod locate;
mod machine;
mod other_names;
mod pipe;
mod prediction;
mod predictor;
mod present;
mod quantization;
mod records;
mod runtime;
mod save_hook;
mod sink;
mod source;
mod spot;
mod verification;

use std::process::ExitCode;

/// Variables that libraries read, with the values that they get unless the user gives others.
const VARIABLES: [(&str, &str); 2] = [
    // candle's own pool of threads would wait in a busy loop for work beside rayon's.
    ("CANDLE_NUM_THREADS", "1"),
    // ONNX Runtime prepares to send events to its maker, with a file among the temporary ones,
    // before it can be told not to.
    ("ORT_DISABLE_TELEMETRY", "1"),
];

/// Sets the variables that libraries read.
#[expect(
    unsafe_code,
    reason = "no other thread runs yet, so none reads the environment meanwhile"
)]
fn set_variables() {
    for (name, value) in VARIABLES {
        if std::env::var_os(name).is_none() {
            // SAFETY: called first thing in `main`, while the process has one thread.
            unsafe { std::env::set_var(name, value) };
        }
    }
}

/// Silences panics that a library turns into an error.
fn silence_caught_panics() {
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if !rtune_text::panic_becomes_error() {
            print(info);
        }
    }));
}

fn main() -> ExitCode {
    set_variables();
    silence_caught_panics();
    let arguments: Vec<_> = std::env::args_os().collect();
    let name = arguments.get(1).and_then(|name| name.to_str());
    match arguments::parse(&arguments) {
        Err(error) => exit::report(&error, name, &[]),
        Ok(parsed) => match parsed.cli.command.run() {
            Err(error) => exit::report(&error, name, &parsed.from_file),
            Ok(code) => code,
        },
    }
}
