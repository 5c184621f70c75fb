//! Memory that calibration adds to running the model: 512 sentences, percentile ranges, one
//! process.
//!
//! `cargo bench --bench calibration_memory -- ONNX_DIR TEXTS.csv`; without them, what `cargo xtask
//! quickstart` and `cargo xtask fetch` leave. Linux only: it reads the peak from `/proc`.
//!
//! Target: at most 200 MB on top of the peak of running the model on the same sentences.

#![expect(clippy::print_stdout, reason = "a bench prints its result")]

use rtune_data::{Columns, read_texts};
use rtune_infer::TextTensors;
use rtune_interrupt::Interrupt;
use rtune_package::Metadata;
use rtune_quant::{
    Batch, Calibrator, Plan, QuantError, Quantizable, RangeMethod, Settings, Values,
};
use rtune_runtime::{Runtime, Session, SessionOptions};
use rtune_task::TextSignature;
use rtune_text::{Encoded, PaddedBatch, Tokenizer, sorted_by_length};
use std::num::NonZeroUsize;
use std::path::PathBuf;

const SENTENCES: usize = 512;
const BATCH: NonZeroUsize = NonZeroUsize::new(4).unwrap();

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
    let signature = Metadata::read(&folder)?.inputs;
    let columns = Columns::default();
    let texts = read_texts(&texts, &columns, SENTENCES, &tokenizer, &mut |_, _| {})?;
    let runtime = Runtime::load(&rtune_testkit::runtime_library())?;
    let source = Quantizable::new(&rtune_onnx::read(&folder.join("model.onnx"))?)?;
    let plan = Plan::new(&source, Settings::default())?;
    let open = |model| -> Result<Session, Box<dyn std::error::Error>> {
        let options = SessionOptions {
            threads: 2,
            ..SessionOptions::default()
        };
        Ok(runtime.open_bytes(&rtune_onnx::encode(model)?, &options)?)
    };

    let mut session = open(source.model())?;
    for batch in batches(&texts, tokenizer.padding(), &signature) {
        session.run(&batch?.feeds())?;
    }
    drop(session);
    let running = peak_mb()?;

    let mut session = open(&plan.tapped()?)?;
    let mut calibrator = Calibrator::new(&plan);
    let batches = batches(&texts, tokenizer.padding(), &signature);
    calibrator.run(&mut session, batches, &Interrupt::new(), |_| {})?;
    let ranges = calibrator.ranges("percentile 99.999".parse::<RangeMethod>()?)?;
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

fn batches(
    texts: &[Encoded],
    padding: u32,
    signature: &TextSignature,
) -> impl Iterator<Item = Result<Batch, QuantError>> {
    let lengths: Vec<usize> = texts.iter().map(Encoded::len).collect();
    sorted_by_length(&lengths, BATCH)
        .into_iter()
        .map(move |indices| {
            let batch = PaddedBatch::new(indices.iter().map(|i| &texts[*i]), padding);
            let tensors = TextTensors::new(&batch);
            let inputs = signature.inputs().iter();
            Ok(inputs.fold(Batch::new(batch.batch), |run, input| {
                let values = Values::I64(tensors.values(*input).to_vec());
                run.tensor(input.name(), tensors.dims(), values)
            }))
        })
}

fn peak_mb() -> Result<f64, Box<dyn std::error::Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .ok_or("no VmHWM in /proc/self/status")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse::<f64>()? / 1024.0)
}
