use crate::{NnError, Result};
use candle_core::{DType, Tensor};
use safetensors::tensor::{Dtype, View};
use std::borrow::Cow;
use std::cell::RefCell;
use std::fs::File;
use std::path::Path;

/// A tensor to write.
#[derive(Debug, Clone, Copy)]
pub enum TensorRef<'a> {
    /// A tensor of any element type and device. It is written in single precision.
    Tensor(&'a Tensor),
    /// The elements of a tensor with one dimension.
    Slice(&'a [f32]),
}

impl TensorRef<'_> {
    /// The elements in row-major order, single precision and little-endian.
    ///
    /// # Errors
    /// If the tensor cannot be read from its device.
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

/// A tensor whose bytes are made when the writer asks for them, so that one tensor at a time is
/// copied. safetensors' [`View`] cannot return an error, so it is kept in `failure`.
struct Lazy<'a> {
    values: TensorRef<'a>,
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
/// If a tensor cannot be read, or the file cannot be written. A new file is then removed again.
pub fn save_tensors<'a, N>(
    path: &Path,
    tensors: impl IntoIterator<Item = (N, TensorRef<'a>)>,
) -> Result<()>
where
    N: AsRef<str> + Ord + std::fmt::Display,
{
    let failure = RefCell::new(None);
    let views = tensors.into_iter().map(|(name, values)| {
        let shape = match values {
            TensorRef::Tensor(tensor) => tensor.dims().to_vec(),
            TensorRef::Slice(values) => vec![values.len()],
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
    // Hugging Face's loader requires this entry.
    let about = std::collections::HashMap::from([("format".to_owned(), "pt".to_owned())]);
    // The writer creates a temporary file that only its owner can read, and renames it. The result
    // gets the permissions of any other new file.
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
        // The first error is the one to report.
        let _ = std::fs::remove_file(path);
    }
    result
}
