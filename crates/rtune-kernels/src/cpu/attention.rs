//! Attention over sequences of tokens.

use super::Dropout;
use super::gemm::{Matrix, MatrixMut, Output, product};
use super::pool::split;
use super::simd::vectorize;
use super::softmax::{softmax_row, softmax_row_backward};
use crate::error::check_length;
use crate::{KernelError, Result};
use gemm::Parallelism;
use rayon::prelude::*;

/// The shapes and constants of multi-head attention.
///
/// Tokens are rows of `heads · head_dim` elements, one sequence after the other. A padded grid is
/// the special case of equal lengths.
#[derive(Debug, Clone, Copy)]
pub struct Attention<'a> {
    /// Number of heads.
    pub heads: usize,
    /// Width of each head.
    pub head_dim: usize,
    /// Factor of the scores.
    pub scale: f32,
    /// The first token of each sequence, and the number of tokens: `[sequences + 1]`, ascending.
    pub offsets: &'a [usize],
    /// An addend to the scores of each token as a key, such as a mask of padding: `[tokens]`.
    pub bias: Option<&'a [f32]>,
    /// The dropout of attention weights.
    pub dropout: Option<Dropout>,
}

/// One sequence's place among all.
#[derive(Debug, Clone, Copy)]
struct Sequence<'a> {
    /// The first of its rows.
    start: usize,
    length: usize,
    /// The place of its first attention weight.
    first_weight: usize,
    bias: Option<&'a [f32]>,
}

impl<'a> Attention<'a> {
    fn width(&self) -> usize {
        self.heads * self.head_dim
    }

    fn lengths(&self) -> impl Iterator<Item = usize> {
        self.offsets.windows(2).map(|pair| pair[1] - pair[0])
    }

    /// Returns the number of attention weights: `heads` · length² for each sequence.
    pub fn weights_len(&self) -> usize {
        self.lengths()
            .map(|length| self.heads * length * length)
            .sum()
    }

    /// Checks the offsets, and returns the number of tokens.
    fn check(&self, kernel: &'static str) -> Result<usize> {
        let ascending = self.offsets.windows(2).all(|pair| pair[0] <= pair[1]);
        let (Some(0), Some(tokens), true) = (self.offsets.first(), self.offsets.last(), ascending)
        else {
            return Err(KernelError::Setting {
                kernel,
                problem: "offsets must ascend from 0 to the number of tokens".to_owned(),
            });
        };
        if let Some(bias) = self.bias {
            check_length(kernel, "bias", bias.len(), *tokens)?;
        }
        Ok(*tokens)
    }

    fn sequences(&self) -> Vec<Sequence<'a>> {
        let mut first_weight = 0;
        self.offsets
            .windows(2)
            .map(|pair| {
                let (start, length) = (pair[0], pair[1] - pair[0]);
                let bias = self.bias.map(|bias| &bias[pair[0]..pair[1]]);
                let sequence = Sequence {
                    start,
                    length,
                    first_weight,
                    bias,
                };
                first_weight += self.heads * length * length;
                sequence
            })
            .collect()
    }

    /// Returns one head of a sequence's rows; the sequence is not empty.
    fn head<'v>(&self, values: &'v [f32], at: &Sequence<'_>, head: usize) -> Result<Matrix<'v>> {
        let (width, first) = (self.width(), head * self.head_dim);
        let rows = &values[at.start * width + first..(at.start + at.length) * width];
        Matrix::strided(rows, at.length, self.head_dim, width)
    }

    /// Returns one head of a sequence's own rows; the sequence is not empty.
    fn head_mut<'v>(
        &self,
        rows: &'v mut [f32],
        at: &Sequence<'_>,
        head: usize,
    ) -> Result<MatrixMut<'v>> {
        let (width, first) = (self.width(), head * self.head_dim);
        MatrixMut::strided(&mut rows[first..], at.length, self.head_dim, width)
    }

    /// Multiplies a head's weights by the dropout mask.
    fn drop(&self, at: &Sequence<'_>, head: usize, values: &mut [f32]) {
        if let Some(dropout) = &self.dropout {
            let first = at.first_weight + head * at.length * at.length;
            vectorize(
                #[inline(always)]
                || dropout.multiply(first, values),
            );
        }
    }

    fn forward_sequence(
        &self,
        [q, k, v]: [&[f32]; 3],
        at: &Sequence<'_>,
        weights: &mut [f32],
        output: &mut [f32],
        dropped: &mut Vec<f32>,
    ) -> Result<()> {
        let square = at.length * at.length;
        for head in 0..self.heads {
            let weights = &mut weights[head * square..(head + 1) * square];
            let (query, key) = (
                self.head(q, at, head)?,
                self.head(k, at, head)?.transposed(),
            );
            let scores = MatrixMut::new(weights, at.length, at.length)?;
            alone(self.scale, query, key, scores)?;
            vectorize(
                #[inline(always)]
                || {
                    weights
                        .chunks_exact_mut(at.length)
                        .for_each(|row| softmax_row(row, at.bias));
                },
            );
            let weights = if self.dropout.is_some() {
                dropped.clear();
                dropped.extend_from_slice(weights);
                self.drop(at, head, dropped);
                dropped.as_slice()
            } else {
                weights
            };
            let weights = Matrix::new(weights, at.length, at.length)?;
            alone(
                1.0,
                weights,
                self.head(v, at, head)?,
                self.head_mut(output, at, head)?,
            )?;
        }
        Ok(())
    }

    fn backward_sequence(
        &self,
        [q, k, v, gradient]: [&[f32]; 4],
        at: &Sequence<'_>,
        weights: &[f32],
        output: [&mut [f32]; 3],
        [scores, dropped]: [&mut Vec<f32>; 2],
    ) -> Result<()> {
        let square = at.length * at.length;
        let [q_gradient, k_gradient, v_gradient] = output;
        for head in 0..self.heads {
            let weights = &weights[head * square..(head + 1) * square];
            let gradient = self.head(gradient, at, head)?;
            scores.resize(square, 0.0);
            let value = self.head(v, at, head)?.transposed();
            alone(
                1.0,
                gradient,
                value,
                MatrixMut::new(scores, at.length, at.length)?,
            )?;
            self.drop(at, head, scores);
            let kept = if self.dropout.is_some() {
                dropped.clear();
                dropped.extend_from_slice(weights);
                self.drop(at, head, dropped);
                dropped.as_slice()
            } else {
                weights
            };
            let kept = Matrix::new(kept, at.length, at.length)?.transposed();
            alone(1.0, kept, gradient, self.head_mut(v_gradient, at, head)?)?;
            vectorize(
                #[inline(always)]
                || {
                    let rows = scores
                        .chunks_exact_mut(at.length)
                        .zip(weights.chunks_exact(at.length));
                    rows.for_each(|(scores, weights)| softmax_row_backward(weights, scores));
                },
            );
            let scores = Matrix::new(scores, at.length, at.length)?;
            let (query, key) = (self.head(q, at, head)?, self.head(k, at, head)?);
            alone(
                self.scale,
                scores,
                key,
                self.head_mut(q_gradient, at, head)?,
            )?;
            let scores = scores.transposed();
            alone(
                self.scale,
                scores,
                query,
                self.head_mut(k_gradient, at, head)?,
            )?;
        }
        Ok(())
    }
}

/// Computes a product on this thread.
fn alone(factor: f32, a: Matrix<'_>, b: Matrix<'_>, output: MatrixMut<'_>) -> Result<()> {
    product(factor, a, b, output, Output::Overwrite, Parallelism::None)
}

/// Computes softmax(scale · q · kᵀ + bias) · v in each head of each sequence (Vaswani et al.,
/// 2017), and the attention weights before dropout, which the gradient needs.
///
/// # Shapes
/// q, k, v and output `[tokens, heads · head_dim]`, weights `[`[`Attention::weights_len`]`]`
///
/// # Errors
/// If the shapes do not fit.
pub fn attention(
    attention: &Attention<'_>,
    [q, k, v]: [&[f32]; 3],
    weights: &mut [f32],
    output: &mut [f32],
) -> Result<()> {
    let (kernel, width) = ("attention", attention.width());
    let count = attention.check(kernel)? * width;
    for (argument, values) in [("query", q), ("key", k), ("value", v), ("output", &*output)] {
        check_length(kernel, argument, values.len(), count)?;
    }
    check_length(kernel, "weights", weights.len(), attention.weights_len())?;
    let weights = split(
        weights,
        attention.lengths().map(|n| attention.heads * n * n),
    );
    let output = split(output, attention.lengths().map(|n| n * width));
    let work = attention
        .sequences()
        .into_par_iter()
        .zip(weights.into_par_iter().zip(output));
    work.filter(|(at, _)| at.length > 0)
        .map_init(Vec::new, |dropped, (at, (weights, output))| {
            attention.forward_sequence([q, k, v], &at, weights, output, dropped)
        })
        .collect()
}

/// Computes the gradients of [`attention`] by q, k and v.
///
/// # Shapes
/// q, k, v, gradient and outputs `[tokens, heads · head_dim]`, weights
/// `[`[`Attention::weights_len`]`]`
///
/// # Errors
/// If the shapes do not fit.
pub fn attention_backward(
    attention: &Attention<'_>,
    [q, k, v]: [&[f32]; 3],
    weights: &[f32],
    gradient: &[f32],
    output: [&mut [f32]; 3],
) -> Result<()> {
    let (kernel, width) = ("attention_backward", attention.width());
    let count = attention.check(kernel)? * width;
    let inputs = [
        ("query", q),
        ("key", k),
        ("value", v),
        ("gradient", gradient),
    ];
    for (argument, values) in inputs {
        check_length(kernel, argument, values.len(), count)?;
    }
    for output in &output {
        check_length(kernel, "output", output.len(), count)?;
    }
    check_length(kernel, "weights", weights.len(), attention.weights_len())?;
    let [q_out, k_out, v_out] =
        output.map(|output| split(output, attention.lengths().map(|n| n * width)));
    let outputs = q_out.into_par_iter().zip(k_out).zip(v_out);
    let work = attention.sequences().into_par_iter().zip(outputs);
    work.filter(|(at, _)| at.length > 0)
        .map_init(
            || (Vec::new(), Vec::new()),
            |(scores, dropped), (at, ((q_out, k_out), v_out))| {
                let count = attention.heads * at.length * at.length;
                let weights = &weights[at.first_weight..at.first_weight + count];
                let (inputs, outputs) = ([q, k, v, gradient], [q_out, k_out, v_out]);
                attention.backward_sequence(inputs, &at, weights, outputs, [scores, dropped])
            },
        )
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference;
    use crate::testing::{assert_close, assert_same_at_any_thread_count, noise, wide};

    fn columns(values: &[f32], from: usize, to: usize, first: usize, count: usize) -> Vec<f64> {
        let width = values.len() / to.max(1);
        let rows = values.chunks(width).take(to).skip(from);
        rows.flat_map(|row| wide(&row[first..first + count]))
            .collect()
    }

    /// Compares one case with the reference, head by head.
    fn check(heads: usize, head_dim: usize, offsets: &[usize], masked: bool, rate: f64) {
        let tokens = *offsets.last().unwrap();
        let width = heads * head_dim;
        let [q, k, v, gradient] = [1, 2, 3, 4].map(|seed| noise(seed, tokens * width));
        let bias: Vec<f32> = (0..tokens)
            .map(|token| if masked && token % 5 == 4 { -1e4 } else { 0.0 })
            .collect();
        let dropout = (rate > 0.0).then(|| Dropout::new(rate, 9).unwrap());
        let scale = 0.3;
        let bias_slice = masked.then_some(bias.as_slice());
        let case = Attention {
            heads,
            head_dim,
            scale,
            offsets,
            bias: bias_slice,
            dropout,
        };
        let mut weights = vec![f32::NAN; case.weights_len()];
        let mut output = vec![f32::NAN; tokens * width];
        attention(&case, [&q, &k, &v], &mut weights, &mut output).unwrap();
        let mut gradients = [0; 3].map(|_| vec![f32::NAN; tokens * width]);
        let targets = gradients.each_mut().map(Vec::as_mut_slice);
        attention_backward(&case, [&q, &k, &v], &weights, &gradient, targets).unwrap();

        let mut mask = vec![1.0; weights.len()];
        if let Some(dropout) = &dropout {
            super::super::dropout_assign(&mut mask, dropout);
        }
        let mut first_weight = 0;
        for range in offsets.windows(2).filter(|range| range[0] < range[1]) {
            let (from, to) = (range[0], range[1]);
            for head in 0..heads {
                let place = format!("{heads} × {head_dim}, {offsets:?}, head {head}, from {from}");
                let part = |values: &[f32]| {
                    let rows = &values[..to * width];
                    columns(rows, from, to, head * head_dim, head_dim)
                };
                let (length, square) = (to - from, (to - from) * (to - from));
                let mask = wide(&mask[first_weight..first_weight + square]);
                let shape = [length, head_dim];
                let (q, k, v) = (part(&q), part(&k), part(&v));
                let bias = wide(&bias[from..to]);
                let (inputs, factor) = ([&*q, &*k, &*v], f64::from(scale));
                let [expected, exact] = reference::attention(inputs, shape, factor, &bias, &mask);
                let found = &weights[first_weight..first_weight + square];
                assert_close(found, &exact, 2e-6, &place);
                let narrow = |values: Vec<f64>| -> Vec<f32> {
                    values.into_iter().map(|value| value as f32).collect()
                };
                assert_close(&narrow(part(&output)), &expected, 1e-5, &place);
                let by = reference::attention_backward(
                    inputs,
                    shape,
                    factor,
                    &exact,
                    &mask,
                    &part(&gradient),
                );
                for (found, expected) in gradients.iter().zip(&by) {
                    assert_close(&narrow(part(found)), expected, 3e-5, &place);
                }
                first_weight += square;
            }
        }
    }

    #[test]
    fn a_padded_grid_matches_the_reference() {
        for length in [1, 2, 15, 16, 17, 33] {
            let offsets: Vec<usize> = (0..4).map(|index| index * length).collect();
            check(3, 8, &offsets, true, 0.0);
        }
        check(1, 1, &[0, 1], false, 0.0);
        check(2, 32, &[0, 50, 100], true, 0.0);
    }

    #[test]
    fn packed_sequences_of_any_length_match_the_reference() {
        check(2, 5, &[0, 3, 3, 4, 21, 22, 60], false, 0.0);
        check(4, 16, &[0, 0, 7], false, 0.0);
        check(2, 4, &[0], false, 0.0);
    }

    #[test]
    fn dropout_multiplies_the_weights() {
        check(3, 8, &[0, 9, 16, 31], true, 0.4);
    }

    #[test]
    fn threads_do_not_change_the_gradients() {
        let (offsets, width) = ([0, 13, 50, 51, 90], 64);
        let [q, k, v, gradient] = [1, 2, 3, 4].map(|seed| noise(seed, 90 * width));
        let dropout = Some(Dropout::new(0.1, 5).unwrap());
        let case = Attention {
            heads: 4,
            head_dim: 16,
            scale: 0.25,
            offsets: &offsets,
            bias: None,
            dropout,
        };
        assert_same_at_any_thread_count(|| {
            let mut weights = vec![0.0; case.weights_len()];
            let mut outputs = [0; 4].map(|_| vec![0.0; 90 * width]);
            let [output, by @ ..] = outputs.each_mut().map(Vec::as_mut_slice);
            attention(&case, [&q, &k, &v], &mut weights, output).unwrap();
            attention_backward(&case, [&q, &k, &v], &weights, &gradient, by).unwrap();
            outputs.concat()
        });
    }

    #[test]
    fn offsets_that_do_not_fit_are_errors() {
        for offsets in [&[][..], &[1, 2], &[0, 3, 2]] {
            let case = Attention {
                heads: 1,
                head_dim: 1,
                scale: 1.0,
                offsets,
                bias: None,
                dropout: None,
            };
            let two = [0.0; 2];
            assert!(attention(&case, [&two; 3], &mut [0.0; 4], &mut [0.0; 2]).is_err());
        }
    }
}
