//! Pieces of work on rayon's pool.

use super::simd::vectorize;
use rayon::prelude::*;

/// Elements per piece of work. Fixed, so that results do not depend on the number of threads.
pub(crate) const PIECE: usize = 16 * 1024;

/// Runs a closure on a thread of rayon's pool.
///
/// A loop that starts on a thread of the pool needs no handover and no sleep of the caller, so a
/// caller that runs many kernels in a row, as a training step does, enters the pool once.
pub fn in_pool<R: Send>(f: impl FnOnce() -> R + Send) -> R {
    rayon::scope(|_| f())
}

/// Returns the length of a piece in whole rows.
pub(crate) fn whole_rows(width: usize) -> usize {
    (PIECE / width).max(1) * width
}

/// Runs `f` over pieces of an output.
pub(crate) fn each(output: &mut [f32], f: impl Fn(&mut [f32]) + Sync) {
    if output.len() <= PIECE {
        return vectorize(
            #[inline(always)]
            || f(output),
        );
    }
    output.par_chunks_mut(PIECE).for_each(|output| {
        vectorize(
            #[inline(always)]
            || f(output),
        )
    });
}

/// Runs `f` over pieces of an output and an input of the same length.
pub(crate) fn each2(
    output: &mut [f32],
    a: &[f32],
    piece: usize,
    f: impl Fn(&mut [f32], &[f32]) + Sync,
) {
    if output.len() <= piece {
        return vectorize(
            #[inline(always)]
            || f(output, a),
        );
    }
    output
        .par_chunks_mut(piece)
        .zip(a.par_chunks(piece))
        .for_each(|(output, a)| {
            vectorize(
                #[inline(always)]
                || f(output, a),
            )
        });
}

/// Runs `f` over pieces of an output and two inputs of the same length.
pub(crate) fn each3(
    output: &mut [f32],
    a: &[f32],
    b: &[f32],
    piece: usize,
    f: impl Fn(&mut [f32], &[f32], &[f32]) + Sync,
) {
    if output.len() <= piece {
        return vectorize(
            #[inline(always)]
            || f(output, a, b),
        );
    }
    output
        .par_chunks_mut(piece)
        .zip(a.par_chunks(piece).zip(b.par_chunks(piece)))
        .for_each(|(output, (a, b))| {
            vectorize(
                #[inline(always)]
                || f(output, a, b),
            )
        });
}

/// Splits a slice into consecutive parts of the given lengths, which must add up to its own.
pub(crate) fn split<T>(
    mut values: &mut [T],
    lengths: impl Iterator<Item = usize>,
) -> Vec<&mut [T]> {
    lengths
        .map(|length| {
            let (part, rest) = std::mem::take(&mut values).split_at_mut(length);
            values = rest;
            part
        })
        .collect()
}
