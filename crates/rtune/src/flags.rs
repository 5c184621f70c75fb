//! Flags that several commands have.

use crate::exit::usage;
use anyhow::Result;
use candle_core::Device;
use clap::Args;
use rtune_data::Columns;
use std::path::PathBuf;

/// Flags that every command has.
#[derive(Debug, Args)]
pub(crate) struct Common {
    /// Print the result as one JSON document
    #[arg(long)]
    pub(crate) json: bool,
    /// Number of threads [default: all processors]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,
    /// TOML file with any of these flags; flags on the command line win
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

impl Common {
    /// Returns the number of threads, and sizes the thread pool of this process by it.
    pub(crate) fn threads(&self) -> usize {
        let all = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let threads = self.threads.map_or(all, usize::from);
        // A second call finds the pool built, with the same size.
        let _ = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build_global();
        threads
    }
}

/// The device of candle.
#[derive(Debug, Args)]
pub(crate) struct DeviceFlag {
    /// cpu, cuda or cuda:N
    #[arg(long, default_value = "cpu", value_name = "DEVICE")]
    device: String,
}

impl DeviceFlag {
    pub(crate) fn open(&self) -> Result<Device> {
        let ordinal = match self.device.as_str() {
            "cpu" => return Ok(Device::Cpu),
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
        Device::new_cuda(ordinal).map_err(|e| usage(format!("--device {}: {e}", self.device)))
    }
}

/// The names of the columns.
#[derive(Debug, Clone, Args)]
pub(crate) struct ColumnFlags {
    /// Column or field that holds the text
    #[arg(long, default_value = "text", value_name = "NAME")]
    pub(crate) text_column: String,
    /// Column or field that holds the label
    #[arg(long, default_value = "label", value_name = "NAME")]
    pub(crate) label_column: String,
}

impl ColumnFlags {
    pub(crate) fn columns(&self) -> Columns {
        Columns {
            text: self.text_column.clone(),
            label: self.label_column.clone(),
        }
    }
}
