use crate::weights::checksum::Checksum;
use crate::{NnError, Result};
use candle_core::{Device, Tensor};
use safetensors::tensor::Dtype;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The type of the elements of a stored tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Element {
    F64,
    F32,
    F16,
    BF16,
    /// A type that no weight has, by its name and its size in bytes.
    Other(&'static str, u64),
}

impl Element {
    /// The element type of a safetensors file.
    pub(super) fn of(dtype: Dtype) -> Self {
        match dtype {
            Dtype::F64 => Self::F64,
            Dtype::F32 => Self::F32,
            Dtype::F16 => Self::F16,
            Dtype::BF16 => Self::BF16,
            Dtype::I64 => Self::Other("I64", 8),
            Dtype::I32 => Self::Other("I32", 4),
            Dtype::I16 => Self::Other("I16", 2),
            Dtype::I8 => Self::Other("I8", 1),
            Dtype::U64 => Self::Other("U64", 8),
            Dtype::U32 => Self::Other("U32", 4),
            Dtype::U16 => Self::Other("U16", 2),
            Dtype::U8 => Self::Other("U8", 1),
            Dtype::BOOL => Self::Other("BOOL", 1),
            Dtype::F8_E4M3 => Self::Other("F8_E4M3", 1),
            Dtype::F8_E5M2 => Self::Other("F8_E5M2", 1),
            _ => Self::Other("of less than 8 bits", 1),
        }
    }

    pub(super) fn size(self) -> u64 {
        match self {
            Self::F64 => 8,
            Self::F32 => 4,
            Self::F16 | Self::BF16 => 2,
            Self::Other(_, size) => size,
        }
    }

    /// The elements in single precision.
    fn decode(self, bytes: &[u8], is_big_endian: bool, values: &mut Vec<f32>) {
        fn all<const N: usize>(
            (bytes, is_big_endian): (&[u8], bool),
            values: &mut Vec<f32>,
            value: impl Fn([u8; N]) -> f32,
        ) {
            values.extend(bytes.as_chunks::<N>().0.iter().map(|chunk| {
                let mut chunk = *chunk;
                if is_big_endian {
                    chunk.reverse();
                }
                value(chunk)
            }));
        }
        let bytes = (bytes, is_big_endian);
        match self {
            Self::F64 => all(bytes, values, |b| f64::from_le_bytes(b) as f32),
            Self::F32 => all(bytes, values, f32::from_le_bytes),
            Self::F16 => all(bytes, values, |b| half::f16::from_le_bytes(b).to_f32()),
            Self::BF16 => all(bytes, values, |b| half::bf16::from_le_bytes(b).to_f32()),
            Self::Other(..) => {}
        }
    }
}

/// An open file of weights.
#[derive(Debug)]
pub(super) struct WeightFile {
    path: PathBuf,
    file: File,
    pub(super) length: u64,
}

impl WeightFile {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(NnError::io(path))?;
        let length = file.metadata().map_err(NnError::io(path))?.len();
        let path = path.to_owned();
        Ok(Self { path, file, length })
    }

    /// An error about the file.
    pub(super) fn problem(&self, problem: impl Into<String>) -> NnError {
        NnError::File {
            path: self.path.clone(),
            problem: problem.into(),
        }
    }

    /// Fills the buffer from a position.
    pub(super) fn read_at(&self, start: u64, buffer: &mut [u8]) -> Result<()> {
        let mut file = &self.file;
        let read = file
            .seek(SeekFrom::Start(start))
            .and_then(|_| file.read_exact(buffer));
        read.map_err(NnError::io(&self.path))
    }

    /// The bytes of a part, or an error if the file has no such part. At most `limit` are read.
    pub(super) fn part(&self, start: u64, size: u64, limit: u64, what: &str) -> Result<Vec<u8>> {
        if start.checked_add(size).is_none_or(|end| end > self.length) {
            return Err(self.problem(format!(
                "{what} reaches beyond the end of the file, which has {} bytes; download it again",
                self.length
            )));
        }
        if size > limit {
            return Err(self.problem(format!(
                "{what} has {size} bytes, and at most {limit} are read; this is no file of weights"
            )));
        }
        let mut bytes = vec![0; size as usize];
        self.read_at(start, &mut bytes)?;
        Ok(bytes)
    }
}

/// A tensor in a file, which is read when a model takes it: the tensors that no model takes cost
/// nothing, and at no time is one in memory twice.
#[derive(Debug, Clone)]
pub(super) struct FileTensor {
    pub(super) file: Arc<WeightFile>,
    /// The name in the file, for messages.
    pub(super) name: String,
    pub(super) element: Element,
    pub(super) is_big_endian: bool,
    pub(super) dims: Vec<usize>,
    /// The distances of neighbors in elements, if they are not those of row-major order.
    pub(super) strides: Option<Vec<u64>>,
    /// The position of the first element in the file.
    pub(super) start: u64,
    /// The number of elements from the first to the last one.
    pub(super) span: u64,
    /// The checksum of the part of the file that holds it.
    pub(super) checksum: Option<Arc<Checksum>>,
}

/// The number of bytes that are converted at once.
const PART: usize = 1 << 20;

impl FileTensor {
    /// Reads the tensor in single precision.
    ///
    /// # Errors
    /// If the file cannot be read, its content is not that of its checksum, or an element is not
    /// finite.
    pub(super) fn read(&self) -> Result<Tensor> {
        if let Some(checksum) = &self.checksum {
            checksum.verify(&self.file)?;
        }
        let size = self.element.size();
        let mut values = Vec::with_capacity(self.span as usize);
        let mut buffer = vec![0; PART.min((self.span * size) as usize)];
        let (mut position, end) = (self.start, self.start + self.span * size);
        while position < end {
            let length = buffer.len().min((end - position) as usize);
            let part = &mut buffer[..length];
            self.file.read_at(position, part)?;
            self.element.decode(part, self.is_big_endian, &mut values);
            position += length as u64;
        }
        if let Some(strides) = &self.strides {
            values = in_row_major_order(&values, &self.dims, strides);
        }
        if let Some(index) = values.iter().position(|v| !v.is_finite()) {
            return Err(self.file.problem(format!(
                "tensor `{}` holds {} at element {index}",
                self.name, values[index]
            )));
        }
        Ok(Tensor::from_vec(values, &*self.dims, &Device::Cpu)?)
    }
}

/// The elements of a tensor with other strides, of which the last element is in `values`.
fn in_row_major_order(values: &[f32], dims: &[usize], strides: &[u64]) -> Vec<f32> {
    let count = dims.iter().product();
    let mut index = vec![0; dims.len()];
    let mut ordered = Vec::with_capacity(count);
    for _ in 0..count {
        let place = index
            .iter()
            .zip(strides)
            .map(|(i, stride)| *i as u64 * stride);
        ordered.push(values[place.sum::<u64>() as usize]);
        for (i, dim) in index.iter_mut().zip(dims).rev() {
            *i += 1;
            if *i < *dim {
                break;
            }
            *i = 0;
        }
    }
    ordered
}
