//! The kernels for CUDA, compiled for the host and held to the plain references.

#![expect(
    clippy::unwrap_used,
    reason = "a failure of a helper is the test's failure"
)]

use rtune_kernels::{cpu, cuda, reference};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::LazyLock;

/// The program that runs a kernel on the host.
static HOST: LazyLock<(tempfile::TempDir, PathBuf)> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("host");
    let source = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/host.c");
    let mut command = Command::new("cc");
    command.args(["-std=c11", "-D_GNU_SOURCE", "-O1", "-Wall", "-Werror", "-o"]);
    command.arg(&program).arg(source).args(["-lm", "-lpthread"]);
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{errors}");
    (folder, program)
});

/// An argument of a kernel.
enum Argument<'a> {
    Floats(&'a [f32]),
    /// Memory for so many double numbers.
    Doubles(usize),
    Ids(&'a [u32]),
    Long(u64),
    Word(u32),
    Number(f32),
    /// The buffer of an earlier argument.
    Same(usize),
    /// Addresses of the buffers of later arguments, in rows of so many, each with its length.
    Table(&'a [usize], usize),
}
use Argument::{Doubles, Floats, Ids, Long, Number, Same, Table, Word};

/// Runs a kernel and returns the bytes of its buffers.
fn run(kernel: &str, grid: [usize; 2], arguments: &[Argument<'_>]) -> Vec<Vec<u8>> {
    let mut command = Command::new(&HOST.1);
    command.arg(kernel).args(grid.map(|n| n.max(1).to_string()));
    let (mut input, mut lengths) = (Vec::new(), Vec::new());
    for argument in arguments {
        let (text, bytes) = match argument {
            Floats(v) => {
                let bytes: Vec<u8> = v.iter().flat_map(|v| v.to_le_bytes()).collect();
                (format!("f:{}", v.len()), bytes)
            }
            Ids(v) => {
                let bytes: Vec<u8> = v.iter().flat_map(|v| v.to_le_bytes()).collect();
                (format!("i:{}", v.len()), bytes)
            }
            Doubles(count) => (format!("d:{count}"), vec![0; count * 8]),
            Long(number) => (format!("u64={number}"), Vec::new()),
            Word(number) => (format!("u32={number}"), Vec::new()),
            Number(number) => (format!("f32={number:e}"), Vec::new()),
            Same(index) => (format!("={index}"), Vec::new()),
            Table(buffers, columns) => {
                let buffers: Vec<String> = buffers.iter().map(ToString::to_string).collect();
                (format!("@{}/{columns}", buffers.join(",")), Vec::new())
            }
        };
        command.arg(text);
        if matches!(argument, Floats(_) | Ids(_) | Doubles(_)) {
            lengths.push(bytes.len());
        }
        input.extend(bytes);
    }
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{kernel}: {}", output.status);
    let mut rest = output.stdout.as_slice();
    let parts = lengths.into_iter().map(|length| {
        let (part, next) = rest.split_at(length);
        rest = next;
        part.to_vec()
    });
    parts.collect()
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    let (chunks, _) = bytes.as_chunks();
    chunks
        .iter()
        .map(|chunk| f32::from_le_bytes(*chunk))
        .collect()
}

fn noise(seed: u64, count: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1_u64 << 22) as f32 - 2.0
    };
    (0..count).map(|_| next()).collect()
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|value| f64::from(*value)).collect()
}

#[track_caller]
fn close(found: &[f32], expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
        let difference = (f64::from(*found) - expected).abs();
        let bound = 1e-5 * expected.abs().max(1.0);
        assert!(
            difference <= bound,
            "element {index} is {found}, expected {expected}"
        );
    }
}

/// Memory that a kernel must overwrite.
fn poison(count: usize) -> Vec<f32> {
    vec![f32::NAN; count]
}

/// Rows and widths: one, fewer and more than threads share, and odd ones.
const SHAPES: [(usize, usize); 6] = [(1, 1), (3, 7), (5, 32), (9, 33), (300, 3), (2, 384)];

#[test]
fn a_mask_is_that_of_the_processor() {
    for (length, grid) in [(0, 1), (1, 1), (3, 1), (1027, 1), (5000, 3)] {
        let x = noise(1, length);
        let mask = cpu::Dropout::new(0.3, 0x0123_4567_89ab_cdef).unwrap();
        let mut expected = poison(length);
        cpu::dropout(&x, &mask, &mut expected).unwrap();
        let (key, threshold, scale) = mask.parts();
        let output = poison(length);
        let arguments = [
            Floats(&x),
            Floats(&output),
            Long(length as u64),
            Long(key),
            Word(threshold),
            Number(scale),
        ];
        let found = run("dropout", [grid, 1], &arguments);
        assert_eq!(floats(&found[1]), expected);
    }
}

#[test]
fn gelu_and_its_slope() {
    let (x, gradient, output) = (noise(1, 1000), noise(2, 1000), poison(1000));
    let arguments = [Floats(&x), Floats(&gradient), Floats(&output), Long(1000)];
    let found = run("gelu_backward", [2, 1], &arguments);
    let slopes = wide(&x).into_iter().map(reference::gelu_slope);
    let expected: Vec<f64> = slopes
        .zip(wide(&gradient))
        .map(|(slope, g)| slope * g)
        .collect();
    close(&floats(&found[2]), &expected);
}

#[test]
fn an_update_is_that_of_the_processor() {
    let update = cpu::AdamW {
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-8,
        rate: 0.01,
        correction: 0.3,
        keep: 0.99,
        clip: 0.5,
    };
    // Two parameters of other lengths and rates.
    let lengths = [700, 33];
    let noises = lengths.map(|n| [1, 2, 3].map(|seed| noise(seed, n)));
    let seconds = lengths.map(|n| noise(4, n).iter().map(|v| v.abs()).collect::<Vec<f32>>());
    let rates = [0.01, 0.99, 0.02, 1.0];
    let numbers = [0.9, 0.999, 1e-8, 1.0 / 0.3_f32.sqrt(), 0.5].map(Number);
    let buffers: Vec<usize> = (7..15).collect();
    let mut arguments = vec![Table(&buffers, 4), Floats(&rates)];
    arguments.extend(numbers);
    for ([value, gradient, first], second) in noises.iter().zip(&seconds) {
        arguments.extend([value, gradient, first, second].map(|v| Floats(v)));
    }
    let found = run("adamw", [2, 2], &arguments);
    let each = noises
        .into_iter()
        .zip(seconds)
        .zip(rates.chunks(2))
        .zip(found[1..].chunks(4));
    for ((([mut w, gradient, mut m], mut v), rates), found) in each {
        let update = cpu::AdamW {
            rate: f64::from(rates[0]),
            keep: f64::from(rates[1]),
            ..update
        };
        cpu::adamw(&update, &mut w, &gradient, &mut m, &mut v).unwrap();
        for (found, expected) in [(&found[0], w), (&found[2], m), (&found[3], v)] {
            close(&floats(found), &wide(&expected));
        }
    }
}

#[test]
fn sums_of_squares_and_of_columns() {
    for (lengths, blocks) in [([1, 300], 1), ([255, 257], 2), ([5000, 0], 7)] {
        let arrays = [noise(1, lengths[0]), noise(2, lengths[1])];
        let [first, second] = &arrays;
        let partial = Doubles(2 * blocks);
        let arguments = [Table(&[2, 3], 1), partial, Floats(first), Floats(second)];
        let found = run("square_sum", [blocks, 2], &arguments);
        let (parts, _) = found[0].as_chunks();
        for (parts, array) in parts.chunks(blocks).zip(arrays) {
            let sum: f64 = parts.iter().map(|part| f64::from_le_bytes(*part)).sum();
            let expected: f64 = wide(&array).iter().map(|x| x * x).sum();
            assert!(
                (sum - expected).abs() <= 1e-6 * expected,
                "{sum}, expected {expected}"
            );
        }
    }
    for (rows, width) in SHAPES {
        let x = noise(2, rows * width);
        for pieces in [1, 3] {
            let output = poison(pieces * width);
            let grid = [width.div_ceil(cuda::COLUMNS), pieces];
            let lengths = [Long(rows as u64), Long(width as u64)];
            let [rows, width_argument] = lengths;
            let arguments = [Floats(&x), Floats(&output), rows, width_argument];
            let found = floats(&run("column_sum", grid, &arguments)[1]);
            let found = reference::column_sum(&wide(&found), width);
            let found: Vec<f32> = found.iter().map(|v| *v as f32).collect();
            close(&found, &reference::column_sum(&wide(&x), width));
        }
    }
}

#[test]
fn gradients_of_rows() {
    for (rows, width) in SHAPES {
        let (x, gradient, weight) = (
            noise(1, rows * width),
            noise(2, rows * width),
            noise(3, width),
        );
        let (output, products) = (poison(rows * width), poison(rows * width));
        let grid = [rows.div_ceil(cuda::THREADS / cuda::LANES), 1];
        let lengths = || [Long(rows as u64), Long(width as u64)];
        let y = reference::softmax(&wide(&x), width);
        let narrow: Vec<f32> = y.iter().map(|v| *v as f32).collect();
        let [a, b] = lengths();
        let arguments = [Floats(&narrow), Floats(&gradient), Floats(&output), a, b];
        let found = run("softmax_backward", grid, &arguments);
        close(
            &floats(&found[2]),
            &reference::softmax_backward(&y, &wide(&gradient), width),
        );

        let [a, b] = lengths();
        let arguments = [
            Floats(&x),
            Floats(&weight),
            Floats(&gradient),
            Floats(&output),
            Floats(&products),
            a,
            b,
            Number(1e-3),
        ];
        let found = run("layer_norm_backward", grid, &arguments);
        let (wide_x, wide_weight, wide_gradient) = (wide(&x), wide(&weight), wide(&gradient));
        let [by_x, by_weight, _] =
            reference::layer_norm_backward(&wide_x, &wide_weight, &wide_gradient, 1e-3);
        if width > 1 {
            close(&floats(&found[3]), &by_x);
        }
        close_sums(&floats(&found[4]), &by_weight, width);
    }
}

#[track_caller]
fn close_sums(products: &[f32], expected: &[f64], width: usize) {
    let sums = reference::column_sum(&wide(products), width);
    let sums: Vec<f32> = sums.iter().map(|v| *v as f32).collect();
    close(&sums, expected);
}

#[test]
fn rows_of_a_table() {
    for (count, width) in [(1, 3), (7, 33), (300, 5), (600, 257)] {
        let ids: Vec<u32> = (0..count).map(|i| i * i % 11).collect();
        let gradient = noise(1, count as usize * width);
        let output = vec![0.0; 11 * width];
        let grid = [count as usize, width.div_ceil(cuda::THREADS)];
        let arguments = [
            Ids(&ids),
            Floats(&gradient),
            Floats(&output),
            Long(u64::from(count)),
            Long(width as u64),
        ];
        let found = floats(&run("embedding_backward", grid, &arguments)[2]);
        close(
            &found,
            &reference::embedding_backward(&ids, &wide(&gradient), 11, width),
        );
        // The same order of additions as on the processor.
        let mut expected = poison(11 * width);
        cpu::embedding_backward(&ids, &gradient, width, &mut expected).unwrap();
        assert_eq!(found, expected);
    }
}

#[test]
fn rows_are_added_and_axes_are_swapped() {
    for (rows, width) in SHAPES {
        let (x, row) = (noise(1, rows * width), noise(2, width));
        let arguments = [
            Floats(&x),
            Floats(&row),
            Long(rows as u64),
            Long(width as u64),
        ];
        let grid = [width.div_ceil(cuda::THREADS), rows.min(2)];
        let mut expected = poison(x.len());
        cpu::add_row(&x, &row, &mut expected).unwrap();
        assert_eq!(floats(&run("add_row", grid, &arguments)[0]), expected);
    }
    for [a, b, c, d] in [[1, 1, 1, 1], [2, 3, 5, 7], [3, 4, 2, 33], [2, 9, 12, 32]] {
        let (x, output) = (noise(1, a * b * c * d), poison(a * b * c * d));
        let mut arguments = vec![Floats(&x), Floats(&output)];
        arguments.extend([a, b, c, d].map(|n| Long(n as u64)));
        let found = floats(&run("swap_axes", [2, 1], &arguments)[1]);
        let places = (0..a * b * c * d).map(|place| {
            let (rest, last) = (place / d, place % d);
            let (rest, second) = (rest / b, rest % b);
            ((rest / c * b + second) * c + rest % c) * d + last
        });
        assert_eq!(found, places.map(|place| x[place]).collect::<Vec<_>>());
    }
}

#[test]
fn weights_of_attention_and_their_gradient() {
    for (batch, heads, sequence, rate) in [
        (1, 1, 1, 0.0),
        (2, 3, 5, 0.0),
        (2, 3, 5, 0.3),
        (1, 2, 33, 0.1),
        (2, 1, 64, 0.1),
    ] {
        let (rows, scale) = (batch * heads * sequence, 0.25);
        let scores = noise(1, rows * sequence);
        // The last token of each sequence but the first is padding.
        let hidden = |place: usize| place >= sequence && place % sequence == sequence - 1;
        let bias = (0..batch * sequence).map(|place| if hidden(place) { -1e4 } else { 0.0 });
        let bias: Vec<f32> = bias.collect();
        let mask = cpu::Dropout::new(rate, 77).unwrap();
        let mut factors = vec![1.0; rows * sequence];
        cpu::dropout_assign(&mut factors, &mask);
        let (key, threshold, kept) = mask.parts();
        let tail = [Long(key), Word(threshold), Number(kept)];
        let [key, threshold, kept] = tail;
        let grid = [rows.div_ceil(cuda::THREADS / cuda::LANES), 1];

        let sums = (0..rows * sequence).map(|place| {
            let row_of_bias = place / (heads * sequence * sequence);
            let addend = bias[row_of_bias * sequence + place % sequence];
            f64::from(scores[place]) * scale + f64::from(addend)
        });
        let weights = reference::softmax(&sums.collect::<Vec<f64>>(), sequence);
        let (output, dropped) = (poison(rows * sequence), poison(rows * sequence));
        let second = if rate > 0.0 {
            Floats(&dropped)
        } else {
            Same(2)
        };
        let arguments = [
            Floats(&scores),
            Floats(&bias),
            Floats(&output),
            second,
            Long(rows as u64),
            Long(sequence as u64),
            Long((heads * sequence) as u64),
            Number(scale as f32),
            key,
            threshold,
            kept,
        ];
        let found = run("attention_weights", grid, &arguments);
        close(&floats(&found[2]), &weights);
        let times = |values: &[f64]| -> Vec<f64> {
            let pairs = values.iter().zip(&factors);
            pairs
                .map(|(value, factor)| value * f64::from(*factor))
                .collect()
        };
        if rate > 0.0 {
            close(&floats(&found[3]), &times(&weights));
        }

        let gradient = noise(2, rows * sequence);
        let narrow: Vec<f32> = weights.iter().map(|w| *w as f32).collect();
        let (key, threshold, kept) = mask.parts();
        let arguments = [
            Floats(&narrow),
            Floats(&gradient),
            Floats(&output),
            Long(rows as u64),
            Long(sequence as u64),
            Number(scale as f32),
            Long(key),
            Word(threshold),
            Number(kept),
        ];
        let found = run("attention_weights_backward", grid, &arguments);
        let by_weights = times(&wide(&gradient));
        let expected = reference::softmax_backward(&weights, &by_weights, sequence);
        let expected: Vec<f64> = expected.iter().map(|g| g * scale).collect();
        close(&floats(&found[2]), &expected);
    }
}
