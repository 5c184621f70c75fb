//! Constant float matrices.

use crate::{QuantError, Quantizable};
use rtune_graph::{GraphError, ValueId};

/// A constant float32 matrix in row-major order, all elements finite.
#[derive(Debug, Clone)]
pub(crate) struct Matrix {
    pub(crate) dims: [u64; 2],
    columns: usize,
    values: Vec<f32>,
}

impl Matrix {
    /// Reads the constant behind `id`.
    ///
    /// # Errors
    /// If it is no float32 matrix with elements, or an element is NaN or infinite.
    pub(crate) fn read(source: &Quantizable, id: ValueId) -> Result<Self, QuantError> {
        let graph = &source.model().graph;
        let not_a_matrix = || GraphError::value(graph.name_of(id), "is no constant matrix of f32");
        let dims = graph.initializer(id).map(|tensor| tensor.dims());
        let Some([rows, columns]) = dims.and_then(|dims| <[u64; 2]>::try_from(dims).ok()) else {
            return Err(not_a_matrix().into());
        };
        let values = floats(source, id)?;
        let width = usize::try_from(columns).map_err(|_| not_a_matrix())?;
        if values.is_empty() {
            return Err(not_a_matrix().into());
        }
        Ok(Self {
            dims: [rows, columns],
            columns: width,
            values,
        })
    }

    /// Number of indices of `axis`.
    pub(crate) fn channels(&self, axis: usize) -> usize {
        if axis == 0 {
            self.values.len() / self.columns
        } else {
            self.columns
        }
    }

    /// The matrix as one row per index of `axis`.
    pub(crate) fn by_channel(&self, axis: usize) -> Channels {
        if axis == 0 {
            return Channels {
                length: self.columns,
                values: self.values.clone(),
            };
        }
        Channels {
            length: self.values.len() / self.columns,
            values: transpose(&self.values, self.columns),
        }
    }
}

/// The weights of all channels, channel by channel.
#[derive(Debug, Clone)]
pub(crate) struct Channels {
    length: usize,
    values: Vec<f32>,
}

impl Channels {
    /// The weights of each channel.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &[f32]> {
        self.values.chunks_exact(self.length)
    }

    /// Brings integers, channel by channel, into the order of the matrix in which `axis` has the
    /// channels.
    pub(crate) fn restore(&self, integers: Vec<i8>, axis: usize) -> Vec<i8> {
        if axis == 0 {
            integers
        } else {
            transpose(&integers, self.length)
        }
    }
}

/// Reads the constant float32 tensor behind `id`.
///
/// # Errors
/// If it is no constant of float32, or an element is NaN or infinite.
pub(crate) fn floats(source: &Quantizable, id: ValueId) -> Result<Vec<f32>, QuantError> {
    let graph = &source.model().graph;
    let name = graph.name_of(id);
    let values = graph.initializer(id).and_then(|tensor| tensor.to_f32());
    let values = values.ok_or_else(|| GraphError::value(name, "is no constant of f32"))?;
    match values.iter().position(|value| !value.is_finite()) {
        None => Ok(values),
        Some(element) => Err(QuantError::Weight {
            tensor: name.to_owned(),
            value: values[element],
            element,
        }),
    }
}

/// Turns rows of length `columns` into columns.
fn transpose<T: Copy>(values: &[T], columns: usize) -> Vec<T> {
    let column = |index| values.iter().skip(index).step_by(columns);
    (0..columns).flat_map(column).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_become_columns_and_back() {
        let values = [1, 2, 3, 4, 5, 6];
        assert_eq!(transpose(&values, 3), [1, 4, 2, 5, 3, 6]);
        assert_eq!(transpose(&transpose(&values, 3), 2), values);
    }
}
