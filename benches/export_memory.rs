//! Memory that `rtune export` takes for a model of the size of XLM-RoBERTa base, 278 million
//! parameters with random values.
//!
//! `cargo bench --bench export_memory`, or with `-- FOLDER` for a fine-tuned model of another size
//! or with `pytorch_model.bin`. Linux only: it reads the peaks from `/proc`. Peaks are those of
//! resident memory: all of it, and the part that is no file's.
//!
//! Target: at most 200 MB more than the weights.

#![expect(clippy::print_stdout, reason = "a bench prints its result")]

use candle_core::Device;
use rtune_nn::{
    EncoderConfig, ModelConfig, Parameters as _, StateDict, TensorRef, TextModel, WeightLoader,
    save_tensors,
};
use rtune_task::{Cutpoints, Decision, Link, Pooling, Task, TaskSpec};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

fn main() -> Result<(), Box<dyn Error>> {
    let scratch = tempfile::tempdir()?;
    let mut arguments = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with('-'))
        .map(PathBuf::from);
    let model = match arguments.next() {
        Some(folder) => folder,
        None => make(scratch.path())?,
    };
    let weights = ["model.safetensors", "pytorch_model.bin"].map(|name| model.join(name));
    let weights = weights.iter().find_map(|path| path.metadata().ok());
    let weights = weights.ok_or("the model has no weights in one file")?.len() as f64 / 1e6;
    let mut export = Command::new(rtune_testkit::program())
        .arg("export")
        .args(["--model".as_ref(), model.as_os_str()])
        .args(["--output".as_ref(), scratch.path().join("onnx").as_os_str()])
        .stdout(Stdio::null())
        .spawn()?;
    let status = format!("/proc/{}/status", export.id());
    let (mut all, mut own) = (0.0_f64, 0.0_f64);
    let code = loop {
        if let Ok(text) = std::fs::read_to_string(&status) {
            all = all.max(megabytes(&text, "VmHWM:").unwrap_or(0.0));
            own = own.max(megabytes(&text, "RssAnon:").unwrap_or(0.0));
        }
        if let Some(code) = export.try_wait()? {
            break code;
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    if !code.success() {
        return Err(format!("rtune export: {code}").into());
    }
    println!("weights            {weights:>8.1} MB");
    println!("peak (VmHWM)       {all:>8.1} MB");
    println!("of it no file's    {own:>8.1} MB");
    println!("more than weights  {:>8.1} MB", all - weights);
    Ok(())
}

/// A line of `/proc/PID/status`, in millions of bytes.
fn megabytes(status: &str, name: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kilobytes: f64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kilobytes * 1024.0 / 1e6)
}

/// Writes a fine-tuned model of the size of XLM-RoBERTa base.
fn make(scratch: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let [base, tuned] = ["base", "tuned"].map(|name| scratch.join(name));
    std::fs::create_dir(&base)?;
    std::fs::create_dir(&tuned)?;
    let config = serde_json::json!({
        "model_type": "xlm-roberta", "vocab_size": 250_002, "hidden_size": 768,
        "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072,
        "max_position_embeddings": 514, "type_vocab_size": 1, "layer_norm_eps": 1e-5,
        "pad_token_id": 1,
    });
    std::fs::write(base.join("config.json"), config.to_string())?;
    let config = EncoderConfig::parse(&ModelConfig::read(&base)?)?;
    let loader = WeightLoader::new(StateDict::default(), 1, &Device::Cpu);
    let encoder = config.load(&loader.initialized())?;
    let params = encoder.params().into_iter();
    let tensors = params.map(|param| (param.name(), TensorRef::Tensor(param.value())));
    save_tensors(&base.join("model.safetensors"), tensors)?;
    drop(encoder);
    let spec = TaskSpec {
        task: Task::Ordinal,
        labels: ["bad", "fair", "good"].map(str::to_owned).to_vec(),
        pooling: Pooling::Mean,
        link: Link::Logit,
        cutpoints: Cutpoints::Ordered,
        decision: Decision::default(),
        targets: None,
        text_pairs: false,
        max_length: 128,
    };
    let (model, _) = TextModel::load(&base, &spec, 1, &Device::Cpu)?;
    model.save(&tuned)?;
    let tokenizer = rtune_testkit::fixtures().join("encoders/xlm-roberta/tokenizer.json");
    std::fs::copy(tokenizer, tuned.join("tokenizer.json"))?;
    Ok(tuned)
}
