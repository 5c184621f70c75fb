//! Writing safetensors files, one tensor in memory at a time.

use crate::{NnError, Result};
use candle_core::{DType, Tensor};
use safetensors::tensor::{Dtype, View};
use std::borrow::Cow;
use std::cell::RefCell;
use std::fs::File;
use std::path::Path;

/// Numbers to write, in row-major order.
#[derive(Debug, Clone, Copy)]
pub enum Values<'a> {
    /// A tensor of any type and device; it is written in single precision.
    Tensor(&'a Tensor),
    /// One dimension.
    Slice(&'a [f32]),
}

impl Values<'_> {
    /// As files hold them: single precision, little-endian.
    ///
    /// # Errors
    /// Where a tensor cannot be read.
    pub fn to_bytes(self) -> Result<Vec<u8>> {
        let bytes = |values: &[f32]| values.iter().flat_map(|v| v.to_le_bytes()).collect();
        Ok(match self {
            Self::Tensor(tensor) => bytes(
                &tensor
                    .to_dtype(DType::F32)?
                    .flatten_all()?
                    .to_vec1::<f32>()?,
            ),
            Self::Slice(values) => bytes(values),
        })
    }
}

/// Fetches a tensor's bytes when the file has come to it; the format's writer cannot be told of a
/// failure.
struct Lazy<'a> {
    values: Values<'a>,
    shape: Vec<usize>,
    failure: &'a RefCell<Option<NnError>>,
}

impl View for Lazy<'_> {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Owned(self.values.to_bytes().unwrap_or_else(|error| {
            *self.failure.borrow_mut() = Some(error);
            Vec::new()
        }))
    }

    fn data_len(&self) -> usize {
        self.shape.iter().product::<usize>() * size_of::<f32>()
    }
}

/// Writes tensors in single precision to a safetensors file, sorted by name.
///
/// # Errors
/// Where a tensor cannot be read, or the file cannot be written; a file that was not there is then
/// not there either.
pub fn save_tensors<'a, N>(
    path: &Path,
    tensors: impl IntoIterator<Item = (N, Values<'a>)>,
) -> Result<()>
where
    N: AsRef<str> + Ord + std::fmt::Display,
{
    let failure = RefCell::new(None);
    let views = tensors.into_iter().map(|(name, values)| {
        let shape = match values {
            Values::Tensor(tensor) => tensor.dims().to_vec(),
            Values::Slice(values) => vec![values.len()],
        };
        (
            name,
            Lazy {
                values,
                shape,
                failure: &failure,
            },
        )
    });
    // Hugging Face's loader wants to be told that these are PyTorch's names.
    let about = std::collections::HashMap::from([("format".to_owned(), "pt".to_owned())]);
    // The format's writer goes through a private file; the result is to be as readable as any other
    // new file.
    let is_new = !path.exists();
    let opened = File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .open(path);
    let permissions = opened
        .and_then(|file| file.metadata())
        .map_err(NnError::io(path))?
        .permissions();
    let written = safetensors::serialize_to_file(views, Some(about), path);
    let written = written.map_err(|error| NnError::File {
        path: path.to_owned(),
        problem: error.to_string(),
    });
    let result = match failure.take() {
        Some(error) => Err(error),
        None => written
            .and_then(|()| std::fs::set_permissions(path, permissions).map_err(NnError::io(path))),
    };
    if result.is_err() && is_new {
        // The error that stands is the first one.
        let _ = std::fs::remove_file(path);
    }
    result
}
