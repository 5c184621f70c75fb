/// The result of a kernel.
pub type Result<T, E = KernelError> = std::result::Result<T, E>;

/// A mismatch between the arguments of a kernel.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KernelError {
    /// A slice has another length than the shapes call for.
    #[error("{kernel}: {argument} has {found} elements, expected {expected}")]
    Length {
        /// The kernel.
        kernel: &'static str,
        /// The argument.
        argument: &'static str,
        /// The length that the other arguments call for.
        expected: usize,
        /// The length of the slice.
        found: usize,
    },
    /// A slice is not made of whole rows.
    #[error("{kernel}: {argument} has {found} elements, expected a multiple of the width {width}")]
    Rows {
        /// The kernel.
        kernel: &'static str,
        /// The argument.
        argument: &'static str,
        /// Elements of a row.
        width: usize,
        /// The length of the slice.
        found: usize,
    },
    /// An id is outside its table.
    #[error("{kernel}: id {id} is outside the table, which has {rows} rows")]
    Id {
        /// The kernel.
        kernel: &'static str,
        /// The id.
        id: u32,
        /// Rows of the table.
        rows: usize,
    },
    /// A setting is out of range.
    #[error("{kernel}: {problem}")]
    Setting {
        /// The kernel.
        kernel: &'static str,
        /// The setting, its value and its range.
        problem: String,
    },
}

/// Checks that a slice has the expected length.
pub(crate) fn check_length(
    kernel: &'static str,
    argument: &'static str,
    found: usize,
    expected: usize,
) -> Result<()> {
    if found == expected {
        Ok(())
    } else {
        Err(KernelError::Length {
            kernel,
            argument,
            expected,
            found,
        })
    }
}

/// Returns the number of rows of a slice of rows of `width` elements.
pub(crate) fn check_rows(
    kernel: &'static str,
    argument: &'static str,
    found: usize,
    width: usize,
) -> Result<usize> {
    match found.checked_div(width) {
        Some(rows) if rows * width == found => Ok(rows),
        _ => Err(KernelError::Rows {
            kernel,
            argument,
            width,
            found,
        }),
    }
}
