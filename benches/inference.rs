//! Latency of an int8 model against its float one: batch 1, one thread, in turn within one process.
//!
//! `cargo bench --bench inference -- FLOAT_DIR INT8_DIR` with two exported folders; without them,
//! those that `cargo xtask quickstart` leaves. `ORT_DYLIB_PATH` names the ONNX Runtime library, or
//! the fetched one is used.
//!
//! Target: at 128 tokens, the int8 model takes at most 0.50 of the float model's time.

#![expect(clippy::print_stdout, reason = "a bench prints its result")]

use rtune_runtime::{Feed, Optimization, Runtime, Session, SessionOptions};
use rtune_task::{TextInput, TextSignature};
use std::path::{Path, PathBuf};
use std::time::Instant;

const ROUNDS: usize = 60;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut folders = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with('-'))
        .map(PathBuf::from);
    let quickstart = rtune_testkit::quickstart_folder();
    let float = folders.next().unwrap_or_else(|| quickstart.join("onnx"));
    let int8 = folders.next().unwrap_or_else(|| quickstart.join("int8"));
    let runtime = Runtime::load(&rtune_testkit::runtime_library())?;
    let mut float = open(&runtime, &float)?;
    let mut int8 = open(&runtime, &int8)?;
    println!(
        "{:>7} {:>10} {:>10} {:>7}",
        "tokens", "float ms", "int8 ms", "ratio"
    );
    for tokens in [16, 32, 64, 128] {
        let mut times = [Vec::new(), Vec::new()];
        for round in 0..ROUNDS + 5 {
            let pair = [time(&mut float, tokens)?, time(&mut int8, tokens)?];
            if round >= 5 {
                times
                    .iter_mut()
                    .zip(pair)
                    .for_each(|(times, time)| times.push(time));
            }
        }
        let [float, int8] = times.map(median);
        println!(
            "{tokens:>7} {float:>10.2} {int8:>10.2} {:>7.3}",
            int8 / float
        );
    }
    Ok(())
}

fn open(runtime: &Runtime, folder: &Path) -> Result<Session, rtune_runtime::RuntimeError> {
    let options = SessionOptions {
        threads: 1,
        optimization: Optimization::All,
        optimized_model: None,
    };
    runtime.open(&folder.join("model.onnx"), &options)
}

/// Milliseconds of one run.
fn time(session: &mut Session, tokens: usize) -> Result<f64, Box<dyn std::error::Error>> {
    let ids: Vec<i64> = (0_i64..)
        .map(|i| 1000 + (i * 7919) % 20000)
        .take(tokens)
        .collect();
    let (ones, zeros, dims) = (vec![1; tokens], vec![0; tokens], [1, tokens]);
    let inputs = session.inputs();
    let signature = TextSignature::of_names(inputs.iter().map(|input| input.name.as_str()))?;
    let feed = |input: &TextInput| {
        let values = match input {
            TextInput::InputIds => &ids,
            TextInput::AttentionMask => &ones,
            TextInput::TokenTypeIds => &zeros,
        };
        Feed::i64(input.name(), &dims, values)
    };
    let feeds: Vec<Feed<'_>> = signature.inputs().iter().map(feed).collect();
    let start = Instant::now();
    session.run(&feeds)?.f32("logits")?;
    Ok(start.elapsed().as_secs_f64() * 1e3)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
