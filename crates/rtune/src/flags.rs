//! Flags that several commands have.

use crate::exit::usage;
use crate::list;
use anyhow::Result;
use candle_core::Device;
use clap::{Arg, Args, ValueEnum};
use rtune_data::{Columns, Dialect};
use rtune_task::Pooling;
use rtune_train::{Products, TrainError, cuda_device};
use std::any::TypeId;
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
    /// TOML file with any of these flags, or a table of them for each command; flags on the command
    /// line win
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
        self.open_for(Products::default())
    }

    /// Opens the device with a precision of its products, which only CUDA has.
    pub(crate) fn open_for(&self, products: Products) -> Result<Device> {
        let ordinal = match self.device.as_str() {
            "cpu" if products == Products::Tf32 => {
                return Err(usage(
                    "--dtype tf32 is for CUDA; remove it, or add --device cuda",
                ));
            }
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
        cuda_device(ordinal, products).map_err(|error| match error {
            TrainError::Device { problem, .. } => {
                usage(format!("--device {}: {problem}", self.device))
            }
            other => other.into(),
        })
    }
}

/// The reduction of token vectors to one vector.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum PoolingFlag {
    Mean,
    First,
    Pooler,
}

impl From<PoolingFlag> for Pooling {
    fn from(flag: PoolingFlag) -> Self {
        match flag {
            PoolingFlag::Mean => Self::Mean,
            PoolingFlag::First => Self::First,
            PoolingFlag::Pooler => Self::Pooler,
        }
    }
}

/// The column of texts, and the signs of tables.
#[derive(Debug, Clone, Args)]
pub(crate) struct TextFlags {
    /// Column or field that holds the text
    #[arg(long, visible_alias = "text-column-name", alias = "text-column-names")]
    #[arg(default_value = "text", value_name = "NAME")]
    pub(crate) text_column: String,
    /// Column or field that holds the second text, for rows that are pairs of texts
    #[arg(long, value_name = "NAME")]
    pub(crate) text_pair_column: Option<String>,
    /// Separator of columns, one character or `tab` [default: found out]
    #[arg(long, value_parser = delimiter, value_name = "CHAR")]
    pub(crate) delimiter: Option<char>,
    /// Take quotes in tables as characters; by default they enclose fields
    #[arg(long)]
    pub(crate) no_quotes: bool,
}

impl TextFlags {
    pub(crate) fn columns(&self) -> Columns {
        Columns {
            text: self.text_column.clone(),
            pair: self.text_pair_column.clone(),
            dialect: Dialect {
                delimiter: self.delimiter,
                quotes: !self.no_quotes,
            },
            ..Columns::default()
        }
    }
}

/// The names of the columns, and the signs of tables.
#[derive(Debug, Clone, Args)]
pub(crate) struct ColumnFlags {
    #[command(flatten)]
    pub(crate) text: TextFlags,
    /// Column or field that holds the label
    #[arg(long, visible_alias = "label-column-name")]
    #[arg(default_value = "label", value_name = "NAME")]
    pub(crate) label_column: String,
}

impl ColumnFlags {
    pub(crate) fn columns(&self) -> Columns {
        Columns {
            label: self.label_column.clone(),
            ..self.text.columns()
        }
    }
}

/// Parses a separator.
fn delimiter(text: &str) -> Result<char, String> {
    let mut signs = text.chars();
    match (text, signs.next(), signs.next()) {
        ("tab" | "\\t", ..) => Ok('\t'),
        (_, Some('"' | '\r' | '\n'), None) => {
            Err("a quote or line break separates no columns".to_owned())
        }
        (_, Some(sign), None) => Ok(sign),
        _ => Err("must be one character, such as `;`, or `tab`".to_owned()),
    }
}

/// Names of classes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Names(pub(crate) Vec<String>);

/// Numbers, one for each class.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Numbers(pub(crate) Vec<f64>);

/// Parses names separated by commas.
pub(crate) fn names(text: &str) -> Result<Names, String> {
    list::split(text).map(Names)
}

/// Parses numbers separated by commas.
pub(crate) fn numbers(text: &str) -> Result<Numbers, String> {
    let parse = |part: &String| {
        let problem = |_| format!("`{part}` is not a number; separate numbers by single commas");
        part.parse::<f64>().map_err(problem)
    };
    let numbers: Result<_, _> = list::split(text)?.iter().map(parse).collect();
    numbers.map(Numbers)
}

/// Parses a whole number of 0 or more.
pub(crate) fn whole<T: TryFrom<u64>>(text: &str) -> Result<T, String> {
    let number = text.strip_prefix('+').unwrap_or(text);
    if number.is_empty() || !number.chars().all(|c| c.is_ascii_digit()) {
        return Err("must be a whole number, 0 or more".to_owned());
    }
    let number = number.parse::<u64>().ok().and_then(|n| T::try_from(n).ok());
    number.ok_or_else(|| "is too large".to_owned())
}

/// Parses a number.
pub(crate) fn number(text: &str) -> Result<f64, String> {
    let number = text.parse();
    number.map_err(|_| "must be a number, with a point before decimals".to_owned())
}

/// Parses a tolerance.
pub(crate) fn tolerance(text: &str) -> Result<f64, String> {
    match number(text)? {
        number if number >= 0.0 && number.is_finite() => Ok(number),
        _ => Err("must be a finite number, 0 or more".to_owned()),
    }
}

/// True if the value of a flag is a list.
pub(crate) fn is_list(arg: &Arg) -> bool {
    let kind = arg.get_value_parser().type_id();
    kind == TypeId::of::<Names>() || kind == TypeId::of::<Numbers>()
}

/// True if the value of a flag is a path.
pub(crate) fn is_path(arg: &Arg) -> bool {
    arg.get_value_parser().type_id() == TypeId::of::<PathBuf>()
}
