use crate::commands;
use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// From a table of labelled text to a small, fast, verified ONNX model.
#[derive(Debug, Parser)]
#[command(
    name = "rtune",
    version,
    propagate_version = true,
    args_override_self = true
)]
#[command(
    after_help = "Exit codes: 0 done, 1 failed, 2 bad usage or input, 3 a gate (parity, quality) \
                  failed, 75 interrupted with a checkpoint written (run the same command again), \
                  130 interrupted."
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Finetune(Box<commands::finetune::Finetune>),
    Export(commands::export::Export),
    Verify(commands::verify::Verify),
    Quantize(commands::quantize::Quantize),
    Evaluate(commands::evaluate::Evaluate),
    Predict(commands::predict::Predict),
    Inspect(commands::inspect::Inspect),
    Doctor(commands::doctor::Doctor),
}

impl Command {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        crate::interrupt::install()?;
        match self {
            Self::Finetune(command) => command.run(),
            Self::Export(command) => command.run(),
            Self::Verify(command) => command.run(),
            Self::Quantize(command) => command.run(),
            Self::Evaluate(command) => command.run(),
            Self::Predict(command) => command.run(),
            Self::Inspect(command) => command.run(),
            Self::Doctor(command) => command.run(),
        }
    }
}

/// Flags that every command has.
#[derive(Debug, clap::Args)]
pub(crate) struct Common {
    /// Print the result as one JSON document
    #[arg(long)]
    pub(crate) json: bool,
    /// Number of threads [default: all processors]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,
    /// TOML file with any of these flags; flags on the command line win
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<std::path::PathBuf>,
}

impl Common {
    /// The number of threads, which the thread pool of this process is set to as well.
    pub(crate) fn threads(&self) -> usize {
        let all = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let threads = self.threads.map_or(all, usize::from);
        // It can only be set once, which is all that a command does.
        let _ = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build_global();
        threads
    }
}

/// Where candle computes.
#[derive(Debug, clap::Args)]
pub(crate) struct DeviceFlag {
    /// cpu, cuda or cuda:N
    #[arg(long, default_value = "cpu", value_name = "DEVICE")]
    device: String,
}

impl DeviceFlag {
    pub(crate) fn open(&self) -> anyhow::Result<candle_core::Device> {
        use crate::exit::usage;
        let ordinal = match self.device.as_str() {
            "cpu" => return Ok(candle_core::Device::Cpu),
            "cuda" => 0,
            other => match other.strip_prefix("cuda:").and_then(|n| n.parse().ok()) {
                Some(ordinal) => ordinal,
                None => {
                    return Err(usage(format!(
                        "--device {other}: expected cpu, cuda or cuda:N"
                    )));
                }
            },
        };
        if !cfg!(feature = "cuda") {
            return Err(usage(
                "--device cuda: this rtune is built without CUDA; build it with `--features cuda`",
            ));
        }
        candle_core::Device::new_cuda(ordinal)
            .map_err(|e| usage(format!("--device {}: {e}", self.device)))
    }
}
