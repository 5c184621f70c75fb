//! Matrix products over views with strides.

use crate::{KernelError, Result};
use gemm::Parallelism;

/// A matrix in a slice: element (i, j) stands at i · row stride + j · column stride.
#[derive(Debug, Clone, Copy)]
pub struct Matrix<'a> {
    values: &'a [f32],
    layout: Layout,
}

/// A matrix that a product writes, row by row.
#[derive(Debug)]
pub struct MatrixMut<'a> {
    values: &'a mut [f32],
    layout: Layout,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Layout {
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl Layout {
    /// Returns the layout of rows that begin `row_stride` elements apart, or an error if the slice
    /// does not hold all of them.
    fn of_rows(length: usize, rows: usize, columns: usize, row_stride: usize) -> Result<Self> {
        let needed = match rows.checked_sub(1) {
            Some(before) if columns > 0 => before
                .checked_mul(row_stride)
                .and_then(|start| start.checked_add(columns))
                .filter(|end| isize::try_from(*end).is_ok()),
            _ => Some(0),
        };
        match needed {
            Some(needed) if needed <= length && (columns <= row_stride || rows < 2) => Ok(Self {
                rows,
                columns,
                row_stride,
                column_stride: 1,
            }),
            _ => Err(KernelError::Setting {
                kernel: "matmul",
                problem: format!(
                    "a matrix of {rows} rows and {columns} columns, rows {row_stride} apart, does \
                     not fit a slice of {length} elements"
                ),
            }),
        }
    }
}

impl<'a> Matrix<'a> {
    /// Returns a view of consecutive rows.
    ///
    /// # Shapes
    /// values `[rows, columns]`
    ///
    /// # Errors
    /// If the slice is too short.
    pub fn new(values: &'a [f32], rows: usize, columns: usize) -> Result<Self> {
        Self::strided(values, rows, columns, columns)
    }

    /// Returns a view of rows that begin `row_stride` elements apart.
    ///
    /// # Errors
    /// If the slice is too short.
    pub fn strided(
        values: &'a [f32],
        rows: usize,
        columns: usize,
        row_stride: usize,
    ) -> Result<Self> {
        let layout = Layout::of_rows(values.len(), rows, columns, row_stride)?;
        Ok(Self { values, layout })
    }

    /// Swaps rows and columns.
    #[must_use]
    pub fn transposed(self) -> Self {
        let Layout {
            rows,
            columns,
            row_stride,
            column_stride,
        } = self.layout;
        let layout = Layout {
            rows: columns,
            columns: rows,
            row_stride: column_stride,
            column_stride: row_stride,
        };
        Self { layout, ..self }
    }
}

impl<'a> MatrixMut<'a> {
    /// Returns a view of consecutive rows.
    ///
    /// # Shapes
    /// values `[rows, columns]`
    ///
    /// # Errors
    /// If the slice is too short.
    pub fn new(values: &'a mut [f32], rows: usize, columns: usize) -> Result<Self> {
        Self::strided(values, rows, columns, columns)
    }

    /// Returns a view of rows that begin `row_stride` elements apart.
    ///
    /// # Errors
    /// If the slice is too short or rows overlap.
    pub fn strided(
        values: &'a mut [f32],
        rows: usize,
        columns: usize,
        row_stride: usize,
    ) -> Result<Self> {
        let layout = Layout::of_rows(values.len(), rows, columns, row_stride)?;
        Ok(Self { values, layout })
    }
}

/// The use that a product makes of its output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    Overwrite,
    Add,
}

/// Computes `factor` · a · b.
///
/// # Shapes
/// a `[m, k]`, b `[k, n]` → output `[m, n]`
///
/// # Errors
/// If the shapes do not fit.
pub fn matmul(factor: f32, a: Matrix<'_>, b: Matrix<'_>, output: MatrixMut<'_>) -> Result<()> {
    product(factor, a, b, output, Output::Overwrite, all_threads())
}

/// Adds `factor` · a · b to the output.
///
/// # Shapes
/// a `[m, k]`, b `[k, n]` → output `[m, n]`
///
/// # Errors
/// If the shapes do not fit.
pub fn matmul_add(factor: f32, a: Matrix<'_>, b: Matrix<'_>, output: MatrixMut<'_>) -> Result<()> {
    product(factor, a, b, output, Output::Add, all_threads())
}

fn all_threads() -> Parallelism {
    match rayon::current_num_threads() {
        1 => Parallelism::None,
        threads => Parallelism::Rayon(threads),
    }
}

/// Computes a product, on this thread alone unless `parallelism` says otherwise.
pub(crate) fn product(
    factor: f32,
    a: Matrix<'_>,
    b: Matrix<'_>,
    output: MatrixMut<'_>,
    mode: Output,
    parallelism: Parallelism,
) -> Result<()> {
    let (left, right, target) = (a.layout, b.layout, output.layout);
    let (m, n, k) = (target.rows, target.columns, left.columns);
    if (left.rows, right.rows, right.columns) != (m, k, n) {
        let problem = format!(
            "[{}, {}] times [{}, {}] does not give [{m}, {n}]",
            left.rows, left.columns, right.rows, right.columns
        );
        let kernel = "matmul";
        return Err(KernelError::Setting { kernel, problem });
    }
    if m == 0 || n == 0 {
        return Ok(());
    }
    if k == 0 {
        if mode == Output::Overwrite {
            let rows = output.values.chunks_mut(target.row_stride).take(m);
            rows.for_each(|row| row[..n].fill(0.0));
        }
        return Ok(());
    }
    let (keep, add) = match mode {
        Output::Overwrite => (0.0, false),
        Output::Add => (1.0, true),
    };
    #[expect(unsafe_code, reason = "gemm takes pointers")]
    // SAFETY: each layout was checked against the length of its slice, and its strides are below
    // isize::MAX; the output is borrowed exclusively and its rows do not overlap.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            output.values.as_mut_ptr(),
            target.column_stride as isize,
            target.row_stride as isize,
            add,
            a.values.as_ptr(),
            left.column_stride as isize,
            left.row_stride as isize,
            b.values.as_ptr(),
            right.column_stride as isize,
            right.row_stride as isize,
            keep,
            factor,
            false,
            false,
            false,
            parallelism,
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference;
    use crate::testing::{assert_close, assert_same_at_any_thread_count, noise, wide};

    #[test]
    fn products_match_the_reference() {
        for [m, k, n] in [
            [1, 1, 1],
            [2, 3, 5],
            [17, 33, 9],
            [64, 32, 64],
            [50, 384, 70],
            [0, 3, 2],
            [3, 0, 2],
        ] {
            let (a, b) = (noise(1, m * k), noise(2, k * n));
            let expected = reference::matmul(&wide(&a), &wide(&b), [m, k, n]);
            let place = format!("{m} × {k} × {n}");
            let mut output = vec![f32::NAN; m * n];
            let (left, right) = (
                Matrix::new(&a, m, k).unwrap(),
                Matrix::new(&b, k, n).unwrap(),
            );
            matmul(1.0, left, right, MatrixMut::new(&mut output, m, n).unwrap()).unwrap();
            assert_close(&output, &expected, 5e-5, &place);
            matmul_add(2.0, left, right, MatrixMut::new(&mut output, m, n).unwrap()).unwrap();
            let tripled: Vec<f64> = expected.iter().map(|value| 3.0 * value).collect();
            assert_close(&output, &tripled, 1e-4, &place);
        }
    }

    #[test]
    fn transposed_and_strided_operands_need_no_copy() {
        let (m, k, n, stride) = (7, 5, 6, 11);
        let (a, b) = (noise(1, k * m), noise(2, n * stride));
        let packed: Vec<f32> = b
            .chunks(stride)
            .flat_map(|row| row[2..2 + k].to_vec())
            .collect();
        let expected = reference::matmul(
            &reference::transpose(&wide(&a), k, m),
            &reference::transpose(&wide(&packed), n, k),
            [m, k, n],
        );
        let left = Matrix::new(&a, k, m).unwrap().transposed();
        let right = Matrix::strided(&b[2..], n, k, stride).unwrap().transposed();
        let mut output = vec![f32::NAN; m * stride];
        let target = MatrixMut::strided(&mut output[3..], m, n, stride).unwrap();
        matmul(1.0, left, right, target).unwrap();
        let rows: Vec<f32> = output
            .chunks(stride)
            .flat_map(|row| row[3..3 + n].to_vec())
            .collect();
        assert_close(&rows, &expected, 1e-5, "strided");
        assert!(
            output
                .chunks(stride)
                .all(|row| row[..3].iter().all(|value| value.is_nan()))
        );
    }

    #[test]
    fn threads_do_not_change_a_product() {
        for [m, k, n] in [[384, 801, 1536], [801, 384, 384], [33, 1536, 500]] {
            let (a, b) = (noise(1, k * m), noise(2, k * n));
            assert_same_at_any_thread_count(|| {
                let mut output = vec![0.0; m * n];
                let left = Matrix::new(&a, k, m).unwrap().transposed();
                let right = Matrix::new(&b, k, n).unwrap();
                matmul(1.0, left, right, MatrixMut::new(&mut output, m, n).unwrap()).unwrap();
                output
            });
        }
    }

    #[test]
    fn shapes_that_do_not_fit_are_errors() {
        let values = [0.0; 6];
        assert!(Matrix::new(&values, 2, 4).is_err());
        assert!(Matrix::strided(&values, 3, 2, 3).is_err());
        assert!(Matrix::strided(&values, 2, usize::MAX, usize::MAX).is_err());
        assert!(
            MatrixMut::strided(&mut [0.0; 6], 3, 3, 1).is_err(),
            "rows overlap"
        );
        let (a, b) = (
            Matrix::new(&values, 2, 3).unwrap(),
            Matrix::new(&values, 2, 3).unwrap(),
        );
        let mut output = [0.0; 6];
        let error = matmul(1.0, a, b, MatrixMut::new(&mut output, 2, 3).unwrap()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "matmul: [2, 3] times [2, 3] does not give [2, 3]"
        );
    }
}
