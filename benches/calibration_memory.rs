//! Memory that calibration adds to running the model: 512 sentences, percentile ranges, one
//! process.
//!
//! `cargo bench --bench calibration_memory -- ONNX_DIR TEXTS.csv`; without them, what `cargo xtask
//! quickstart` and `cargo xtask fetch` leave. Linux only: it reads the peak from `/proc`.
//!
//! Target: at most 200 MB on top of the peak of running the model on the same sentences.

#![allow(clippy::print_stdout)] // A bench prints its result.

use rtune_data::read_texts;
use rtune_graph::passes::tap_outputs;
use rtune_quant::{Calibration, RangeMethod, targets};
use rtune_runtime::{Feed, Runtime, Session, SessionOptions};
use rtune_text::{Encoded, PaddedBatch, Tokenizer, sorted_by_length};
use std::path::PathBuf;

const SENTENCES: usize = 512;
const BATCH: usize = 4;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with('-'))
        .map(PathBuf::from);
    let folder = arguments
        .next()
        .unwrap_or_else(|| rtune_testkit::quickstart_folder().join("onnx"));
    let texts = arguments
        .next()
        .unwrap_or_else(|| rtune_testkit::fetched_reviews().join("train.csv"));
    let tokenizer = Tokenizer::read(&folder, 128)?;
    let texts = read_texts(&texts, "text")?.into_iter().take(SENTENCES);
    let texts = texts
        .map(|(_, _, text)| tokenizer.encode(&text))
        .collect::<Result<Vec<_>, _>>()?;
    let runtime = Runtime::load(&rtune_testkit::runtime_library())?;
    let model = rtune_onnx::read(&folder.join("model.onnx"))?;
    let open = |tensors: &[&str]| -> Result<Session, Box<dyn std::error::Error>> {
        let bytes = rtune_onnx::encode(&tap_outputs(&model, tensors.iter().copied())?.0)?;
        Ok(runtime.open_bytes(
            &bytes,
            &SessionOptions {
                threads: 2,
                ..SessionOptions::default()
            },
        )?)
    };

    let mut session = open(&[])?;
    each_batch(&texts, tokenizer.padding(), |feeds, _| {
        session.run(feeds)?;
        Ok(())
    })?;
    drop(session);
    let running = peak_mb()?;

    let tensors = targets(&model.graph).inputs(&model.graph);
    let mut session = open(&tensors)?;
    let mut calibration = Calibration::new(tensors.iter().copied());
    each_batch(&texts, tokenizer.padding(), |feeds, batch| {
        Ok(calibration.observe(&mut session, feeds, &batch.attention_mask, batch.batch)?)
    })?;
    let ranges = calibration.ranges(RangeMethod::Percentile(99.999))?;
    let calibrating = peak_mb()?;
    println!("{} sentences, {} tensors", texts.len(), ranges.len());
    println!("peak of running the model  {running:>7.1} MB");
    println!("peak with calibration      {calibrating:>7.1} MB");
    println!(
        "calibration adds           {:>7.1} MB",
        calibrating - running
    );
    Ok(())
}

fn each_batch(
    texts: &[Encoded],
    padding: u32,
    mut run: impl FnMut(&[Feed<'_>], &PaddedBatch) -> Result<(), Box<dyn std::error::Error>>,
) -> Result<(), Box<dyn std::error::Error>> {
    let lengths: Vec<usize> = texts.iter().map(Encoded::len).collect();
    for indices in sorted_by_length(&lengths, BATCH) {
        let batch = PaddedBatch::new(indices.iter().map(|i| &texts[*i]), padding);
        let wide = |values: &[u32]| values.iter().map(|v| i64::from(*v)).collect::<Vec<_>>();
        let (ids, types) = (wide(&batch.input_ids), wide(&batch.token_type_ids));
        let mask: Vec<i64> = batch.attention_mask.iter().map(|m| i64::from(*m)).collect();
        let dims = [batch.batch, batch.sequence];
        let feeds = [
            Feed::i64("input_ids", &dims, &ids),
            Feed::i64("attention_mask", &dims, &mask),
            Feed::i64("token_type_ids", &dims, &types),
        ];
        run(&feeds, &batch)?;
    }
    Ok(())
}

fn peak_mb() -> Result<f64, Box<dyn std::error::Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .ok_or("no VmHWM in /proc/self/status")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse::<f64>()? / 1024.0)
}
