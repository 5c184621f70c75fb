//! Rows of a table.

use super::reduce::zero;
use crate::error::{check_length, check_rows};
use crate::{KernelError, Result};
use rayon::prelude::*;

/// Rows copied by one piece of work.
const ROWS: usize = 64;

fn check_ids(kernel: &'static str, ids: &[u32], rows: usize) -> Result<()> {
    match ids.iter().find(|id| **id as usize >= rows) {
        Some(id) => Err(KernelError::Id {
            kernel,
            id: *id,
            rows,
        }),
        None => Ok(()),
    }
}

/// Copies the row of each id.
///
/// # Shapes
/// table `[rows, width]`, ids `[n]` → output `[n, width]`
///
/// # Errors
/// If an id is outside the table or the shapes do not fit.
pub fn embedding(table: &[f32], width: usize, ids: &[u32], output: &mut [f32]) -> Result<()> {
    let rows = check_rows("embedding", "table", table.len(), width)?;
    check_length("embedding", "output", output.len(), ids.len() * width)?;
    check_ids("embedding", ids, rows)?;
    let pieces = output
        .par_chunks_mut(ROWS * width)
        .zip(ids.par_chunks(ROWS));
    pieces.for_each(|(output, ids)| {
        for (output, id) in output.chunks_exact_mut(width).zip(ids) {
            let start = *id as usize * width;
            output.copy_from_slice(&table[start..start + width]);
        }
    });
    Ok(())
}

/// Computes the gradient of the table of [`embedding`]: each row is the sum of the gradients of the
/// places that have its id.
///
/// # Shapes
/// ids `[n]`, gradient `[n, width]` → output `[rows, width]`
///
/// # Errors
/// If an id is outside the table or the shapes do not fit.
pub fn embedding_backward(
    ids: &[u32],
    gradient: &[f32],
    width: usize,
    output: &mut [f32],
) -> Result<()> {
    let rows = check_rows("embedding_backward", "output", output.len(), width)?;
    check_length(
        "embedding_backward",
        "gradient",
        gradient.len(),
        ids.len() * width,
    )?;
    check_ids("embedding_backward", ids, rows)?;
    zero(output);
    for (id, gradient) in ids.iter().zip(gradient.chunks_exact(width)) {
        let start = *id as usize * width;
        for (sum, value) in output[start..start + width].iter_mut().zip(gradient) {
            *sum += value;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference;
    use crate::testing::{WIDTHS, assert_close, noise, wide};

    #[test]
    fn rows_and_their_gradients_match_the_reference() {
        for width in WIDTHS {
            for count in [0_u32, 1, 7, 200] {
                let (rows, ids) = (11, (0..count).map(|i| i * i % 11).collect::<Vec<u32>>());
                let table = noise(1, rows * width);
                let mut output = vec![f32::NAN; ids.len() * width];
                embedding(&table, *width, &ids, &mut output).unwrap();
                for (id, row) in ids.iter().zip(output.chunks(*width)) {
                    assert_eq!(row, &table[*id as usize * width..][..*width]);
                }
                let gradient = noise(2, ids.len() * width);
                let mut output = vec![f32::NAN; table.len()];
                embedding_backward(&ids, &gradient, *width, &mut output).unwrap();
                let expected = reference::embedding_backward(&ids, &wide(&gradient), rows, *width);
                assert_close(&output, &expected, 1e-5, &format!("{count} × {width}"));
            }
        }
    }

    #[test]
    fn an_id_outside_the_table_is_an_error() {
        let error = embedding(&[0.0; 6], 2, &[0, 3], &mut [0.0; 4]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "embedding: id 3 is outside the table, which has 3 rows"
        );
        assert!(embedding_backward(&[3], &[0.0; 2], 2, &mut [0.0; 6]).is_err());
    }
}
