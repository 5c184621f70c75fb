//! Damaged files for the readers of checkpoints: `pytorch_model.bin`, `config.json` and
//! `tokenizer.json` with the files that stand for it.
//!
//! `cargo run --release --example fuzz -- READER COUNT [SEED]`, in which READER is `bin`, `config`
//! or `tokenizer`. Each input is a fixture that is changed at random; a seed decides how. A panic
//! that the reader does not turn into an error, more than 512 MB of memory, or more than 10 seconds
//! for one input ends the program with exit code 1 and the number of the input; `SEED:NUMBER` as
//! the seed begins with that input.

#![expect(clippy::print_stdout, reason = "the program prints its result")]
#![expect(
    clippy::unwrap_used,
    reason = "a failure of the program's own is a panic"
)]

use rand::{Rng as _, RngCore as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use rtune_nn::{EncoderConfig, ModelConfig, load_tensors};
use rtune_text::{Tokenizer, panic_becomes_error};
use serde_json::Value;
use std::alloc::{GlobalAlloc, Layout, System};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const MEMORY: usize = 512 << 20;
const TIME: Duration = Duration::from_secs(10);

/// The allocator of the system, which counts bytes and ends the program beyond [`MEMORY`].
struct Counting;

static USED: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

impl Counting {
    fn add(size: usize) {
        let used = USED.fetch_add(size, Ordering::Relaxed) + size;
        PEAK.fetch_max(used, Ordering::Relaxed);
        if used > MEMORY {
            // What is printed here must not allocate without end.
            USED.store(0, Ordering::Relaxed);
            let (seed, number) = (SEED.load(Ordering::Relaxed), NUMBER.load(Ordering::Relaxed));
            println!("FOUND memory: {used} bytes, the last {size}; input {seed}:{number}");
            println!("{}", std::backtrace::Backtrace::force_capture());
            std::process::exit(1);
        }
    }
}

#[expect(
    unsafe_code,
    reason = "the trait is unsafe; every call goes to the system's allocator as it is"
)]
// SAFETY: every method is that of `System`, which upholds the contract.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Self::add(layout.size());
        // SAFETY: as above.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        USED.fetch_sub(
            layout.size().min(USED.load(Ordering::Relaxed)),
            Ordering::Relaxed,
        );
        // SAFETY: as above.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

static SEED: AtomicUsize = AtomicUsize::new(0);
static NUMBER: AtomicUsize = AtomicUsize::new(0);

/// A fixture: the files of a folder, the first of which is changed.
struct Source {
    files: Vec<(String, Vec<u8>)>,
}

impl Source {
    fn read(folder: &Path, names: &[&str]) -> Self {
        let read = |name: &&str| {
            (
                (*name).to_owned(),
                std::fs::read(folder.join(name)).unwrap(),
            )
        };
        Self {
            files: names.iter().map(read).collect(),
        }
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [reader, count, rest @ ..] = &arguments[..] else {
        println!("usage: fuzz bin|config|tokenizer COUNT [SEED[:NUMBER]]");
        return ExitCode::from(2);
    };
    let count: usize = count.parse().unwrap();
    let seed = rest.first().map_or("1", String::as_str);
    let (seed, first) = seed.split_once(':').unwrap_or((seed, "0"));
    let (seed, first): (usize, usize) = (seed.parse().unwrap(), first.parse().unwrap());
    SEED.store(seed, Ordering::Relaxed);
    let sources = sources(reader);
    let scratch = scratch();
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if !panic_becomes_error() {
            print(info);
        }
    }));
    let start = Instant::now();
    let (mut read, mut slowest) = (0_usize, Duration::ZERO);
    for number in first..first + count {
        NUMBER.store(number, Ordering::Relaxed);
        let mut random = ChaCha8Rng::seed_from_u64((seed as u64) << 40 | number as u64);
        let source = &sources[random.random_range(0..sources.len())];
        for (index, (name, content)) in source.files.iter().enumerate() {
            let mut content = content.clone();
            if index == 0 {
                change(reader, &mut content, &mut random);
            }
            std::fs::write(scratch.path().join(name), content).unwrap();
        }
        let begin = Instant::now();
        let result = catch_unwind(AssertUnwindSafe(|| take(reader, scratch.path())));
        for (name, _) in &source.files {
            std::fs::remove_file(scratch.path().join(name)).unwrap();
        }
        slowest = slowest.max(begin.elapsed());
        let Ok(is_read) = result else {
            println!("FOUND panic: input {seed}:{number}");
            return ExitCode::FAILURE;
        };
        if begin.elapsed() > TIME {
            println!("FOUND time: {:?}; input {seed}:{number}", begin.elapsed());
            return ExitCode::FAILURE;
        }
        read += usize::from(is_read);
        if (number + 1) % 100_000 == 0 {
            println!(
                "{reader} {} inputs, {:?}",
                number + 1 - first,
                start.elapsed()
            );
        }
    }
    println!(
        "{reader}: {count} inputs from {seed}:{first}, {read} read, {} refused, {:?}, slowest \
         {slowest:?}, most memory {:.1} MB",
        count - read,
        start.elapsed(),
        PEAK.load(Ordering::Relaxed) as f64 / 1e6
    );
    ExitCode::SUCCESS
}

/// A folder in memory where there is one.
fn scratch() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    match memory.is_dir() {
        true => tempfile::tempdir_in(memory).unwrap(),
        false => tempfile::tempdir().unwrap(),
    }
}

/// The sorted entries of a folder of fixtures.
fn entries(folder: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(rtune_testkit::fixtures().join(folder)).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

fn sources(reader: &str) -> Vec<Source> {
    match reader {
        "bin" => ["pytorch/read", "pytorch/refused"]
            .into_iter()
            .flat_map(entries)
            .map(|path| Source {
                files: vec![("pytorch_model.bin".to_owned(), std::fs::read(path).unwrap())],
            })
            .collect(),
        "config" => ["encoders", "encoder_variants"]
            .into_iter()
            .flat_map(entries)
            .map(|folder| Source::read(&folder, &["config.json"]))
            .collect(),
        "tokenizer" => {
            let mut sources: Vec<Source> = ["encoders", "encoder_variants"]
                .into_iter()
                .flat_map(entries)
                .map(|folder| Source::read(&folder, &["tokenizer.json"]))
                .collect();
            let built: [&[&str]; 4] = [
                &["vocab.txt", "tokenizer_config.json"],
                &["vocab.json", "merges.txt", "tokenizer_config.json"],
                &["merges.txt", "vocab.json", "tokenizer_config.json"],
                &["spiece.model", "tokenizer_config.json"],
            ];
            for folder in entries("tokenizers").iter().filter(|path| path.is_dir()) {
                let files = built
                    .iter()
                    .filter(|files| files.iter().all(|name| folder.join(name).is_file()));
                sources.extend(files.map(|files| {
                    let mut source = Source::read(folder, files);
                    if source.files[0].0 == "tokenizer_config.json" {
                        source.files.rotate_left(1);
                    }
                    source
                }));
            }
            sources
        }
        _ => Vec::new(),
    }
}

/// Changes a file: a few bytes, or a value of a JSON document.
fn change(reader: &str, content: &mut Vec<u8>, random: &mut ChaCha8Rng) {
    if reader != "bin" && random.random_bool(0.7) {
        let parsed = serde_json::from_slice::<Value>(content);
        if let Ok(mut value) = parsed {
            for _ in 0..random.random_range(1..4) {
                change_value(&mut value, random);
            }
            *content = value.to_string().into_bytes();
            return;
        }
    }
    if reader == "bin" {
        // With checksums, hardly any change would reach the pickle.
        let starts: Vec<usize> = places_of(content, b"PK\x01\x02");
        starts
            .iter()
            .for_each(|at| content[at + 16..at + 20].fill(0));
    }
    for _ in 0..random.random_range(1..8) {
        if content.is_empty() {
            return;
        }
        let place = random.random_range(0..content.len());
        let end = content.len().min(place + random.random_range(1..9));
        match random.random_range(0..7) {
            0 => content[place] = random.random(),
            1 => content[place] ^= 1 << random.random_range(0..8),
            2 if random.random_bool(0.1) => content.truncate(place.max(1)),
            2 => drop(content.drain(place..end)),
            3 => content[place..end].fill(0xff),
            4 => content[place..end].fill(0),
            5 => {
                let copy = content[place..end].to_vec();
                let target = random.random_range(0..=content.len());
                content.splice(target..target, copy);
            }
            _ => random.fill_bytes(&mut content[place..end]),
        }
    }
}

fn places_of(content: &[u8], pattern: &[u8]) -> Vec<usize> {
    let windows = content.windows(pattern.len()).enumerate();
    let found = windows.filter(|(at, window)| *window == pattern && at + 20 <= content.len());
    found.map(|(at, _)| at).collect()
}

/// Replaces, removes or repeats a value somewhere in a document.
fn change_value(value: &mut Value, random: &mut ChaCha8Rng) {
    let is_here = random.random_bool(0.08);
    match value {
        Value::Object(fields) if !is_here && !fields.is_empty() => {
            let index = random.random_range(0..fields.len());
            let name = fields.keys().nth(index).unwrap().clone();
            if random.random_bool(0.1) {
                fields.remove(&name);
            } else {
                change_value(fields.get_mut(&name).unwrap(), random);
            }
        }
        Value::Array(values) if !is_here && !values.is_empty() => {
            let index = random.random_range(0..values.len());
            match random.random_range(0..10) {
                0 => drop(values.remove(index)),
                1 => values.push(values[index].clone()),
                _ => change_value(&mut values[index], random),
            }
        }
        place => *place = other_value(random),
    }
}

fn other_value(random: &mut ChaCha8Rng) -> Value {
    let texts = [
        "",
        "gelu",
        "[UNK]",
        "\u{0}",
        "\u{2581}\u{10ffff}",
        "BPE",
        "Sequence",
        "a.*(b",
    ];
    match random.random_range(0..9) {
        0 => Value::Null,
        1 => random.random::<bool>().into(),
        2 => random.random::<u64>().into(),
        3 => (random.random_range(0..70_000_u64)).into(),
        4 => (-random.random_range(1..5_i64)).into(),
        5 => random.random::<f64>().into(),
        6 => Value::Array(Vec::new()),
        7 => serde_json::json!({"type": texts[random.random_range(0..texts.len())]}),
        _ => texts[random.random_range(0..texts.len())].into(),
    }
}

/// Reads the files of a folder; true if they are accepted.
fn take(reader: &str, folder: &Path) -> bool {
    match reader {
        "bin" => {
            let path = folder.join("pytorch_model.bin");
            load_tensors(&path, &candle_core::Device::Cpu).is_ok()
        }
        "config" => {
            let read = ModelConfig::read(folder).and_then(|config| {
                let encoder = EncoderConfig::parse(&config)?;
                encoder.unknown_fields(&config);
                encoder.max_length()?;
                config.task()
            });
            read.is_ok()
        }
        _ => match Tokenizer::read(folder, 64) {
            Err(_) => false,
            Ok(tokenizer) => {
                let _ = (
                    tokenizer.largest_id(),
                    tokenizer.largest_type(),
                    tokenizer.change(),
                );
                for text in [
                    "a good film",
                    "\u{fc}\u{4e2d} x\u{0}y  ",
                    "<mask> a </s> 5,",
                ] {
                    let _ = tokenizer.encode(text);
                }
                true
            }
        },
    }
}
