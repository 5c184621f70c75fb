use super::{Arena, Buffer};
use candle_core::{CpuStorage, DType, Device, Storage, Tensor};
use rtune_kernels::{KernelError, cpu};
use rtune_nn::{NnError, Result};
use std::ops::{Deref, Range};
use std::sync::{Arc, OnceLock};

/// A tensor that a tape computed: in a buffer of the arena on the CPU, in candle's memory on other
/// devices and for operations without a kernel. Each form is made from the other when it is read.
#[derive(Debug, Clone)]
pub struct Array(Arc<Forms>);

#[derive(Debug)]
struct Forms {
    dims: Vec<usize>,
    buffer: OnceLock<Arc<Buffer>>,
    tensor: OnceLock<Tensor>,
}

/// The elements of an array in memory, row by row.
pub struct Elements<'a>(Source<'a>);

enum Source<'a> {
    Buffer(&'a [f32]),
    /// candle's guard of a tensor's memory, and the tensor's part of it.
    Storage(Box<dyn Deref<Target = Storage> + 'a>, Range<usize>),
}

impl std::fmt::Debug for Elements<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Elements")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

impl Deref for Elements<'_> {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        match &self.0 {
            Source::Buffer(values) => values,
            Source::Storage(storage, range) => match &***storage {
                Storage::Cpu(CpuStorage::F32(values)) => &values[range.clone()],
                // Excluded where the guard is taken.
                _ => &[],
            },
        }
    }
}

/// Turns a kernel's error into one of the interpreter.
pub(crate) fn kernel(error: KernelError) -> NnError {
    NnError::operation(error.to_string())
}

/// Returns the elements of a candle tensor without a copy.
///
/// # Errors
/// If the tensor is not contiguous `f32` in CPU memory.
pub(crate) fn elements(tensor: &Tensor) -> Result<Elements<'_>> {
    let (storage, layout) = tensor.storage_and_layout();
    match (&*storage, layout.contiguous_offsets()) {
        (Storage::Cpu(CpuStorage::F32(_)), Some((start, end))) => {
            Ok(Elements(Source::Storage(Box::new(storage), start..end)))
        }
        _ => Err(NnError::operation(format!(
            "expected contiguous f32 in CPU memory, found {:?} on {:?}",
            tensor.dtype(),
            tensor.device().location()
        ))),
    }
}

impl From<Tensor> for Array {
    fn from(tensor: Tensor) -> Self {
        let dims = tensor.dims().to_vec();
        Self(Arc::new(Forms {
            dims,
            buffer: OnceLock::new(),
            tensor: OnceLock::from(tensor),
        }))
    }
}

impl Array {
    /// Returns an array over a buffer, whose length must be the product of the dimensions.
    pub(crate) fn new(dims: impl Into<Vec<usize>>, buffer: Buffer) -> Self {
        Self::shared(dims.into(), Arc::new(buffer))
    }

    fn shared(dims: Vec<usize>, buffer: Arc<Buffer>) -> Self {
        debug_assert_eq!(dims.iter().product::<usize>(), buffer.len());
        Self(Arc::new(Forms {
            dims,
            buffer: OnceLock::from(buffer),
            tensor: OnceLock::new(),
        }))
    }

    /// Returns the dimensions.
    pub fn dims(&self) -> &[usize] {
        &self.0.dims
    }

    /// Returns the number of elements.
    pub fn elem_count(&self) -> usize {
        self.0.dims.iter().product()
    }

    /// Returns whether kernels for the CPU can read the elements.
    pub(crate) fn is_host(&self) -> bool {
        let host = |tensor: &Tensor| {
            matches!(tensor.device(), Device::Cpu) && tensor.dtype() == DType::F32
        };
        self.0.buffer.get().is_some() || self.0.tensor.get().is_some_and(host)
    }

    /// Returns the candle tensor.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn tensor(&self) -> Result<&Tensor> {
        if let Some(tensor) = self.0.tensor.get() {
            return Ok(tensor);
        }
        let buffer = self.0.buffer.get().map_or(&[][..], |buffer| buffer);
        let tensor = Tensor::from_slice(buffer, self.dims(), &Device::Cpu)?;
        Ok(self.0.tensor.get_or_init(|| tensor))
    }

    /// Returns the elements in memory.
    ///
    /// # Errors
    /// If the array is not `f32` on the CPU.
    pub fn elements(&self) -> Result<Elements<'_>> {
        if let Some(buffer) = self.0.buffer.get() {
            return Ok(Elements(Source::Buffer(buffer)));
        }
        let tensor = self.tensor()?;
        if tensor.is_contiguous() || !self.is_host() {
            return elements(tensor);
        }
        let copy = tensor.flatten_all()?.to_vec1::<f32>()?;
        let buffer = self.0.buffer.get_or_init(|| Arc::new(Buffer::from(copy)));
        Ok(Elements(Source::Buffer(buffer)))
    }

    /// Returns the number of an array with one element. Reading it from a device waits until the
    /// device has computed it.
    ///
    /// # Errors
    /// If there are several elements, or the device fails.
    pub fn number(&self) -> Result<f64> {
        Ok(f64::from(self.tensor()?.reshape(())?.to_scalar::<f32>()?))
    }

    /// Returns the array times a scalar array.
    ///
    /// # Errors
    /// If an operation fails.
    pub(crate) fn times(&self, scalar: &Self) -> Result<Self> {
        match (self.is_host() && scalar.is_host(), scalar.elem_count()) {
            (true, 1) => {
                let factor = scalar.elements()?[0];
                let product: Vec<f32> = self.elements()?.iter().map(|x| x * factor).collect();
                Ok(Self::new(self.dims(), Buffer::from(product)))
            }
            _ => Ok(self.tensor()?.broadcast_mul(scalar.tensor()?)?.into()),
        }
    }

    /// Returns whether no element is infinite or NaN.
    ///
    /// # Errors
    /// If an operation on the device fails.
    pub fn is_finite(&self) -> Result<bool> {
        if self.is_host() {
            return Ok(cpu::all_finite(&self.elements()?));
        }
        // The difference of an element with itself is 0, or NaN unless the element is finite.
        let difference = (self.tensor()? - self.tensor()?)?.sum_all()?;
        Ok(difference.to_dtype(DType::F32)?.to_scalar::<f32>()? == 0.0)
    }

    /// Returns the sum of squares, in double precision on the CPU.
    ///
    /// # Errors
    /// If an operation on the device fails.
    pub fn square_sum(&self) -> Result<f64> {
        if self.is_host() {
            return Ok(cpu::square_sum(&self.elements()?));
        }
        let sum = self.tensor()?.sqr()?.sum_all()?.to_dtype(DType::F32)?;
        Ok(f64::from(sum.to_scalar::<f32>()?))
    }

    /// Returns the same elements in another shape, without a copy.
    ///
    /// # Errors
    /// If the number of elements differs.
    pub(crate) fn reshape(&self, dims: &[usize]) -> Result<Self> {
        match self.0.buffer.get() {
            Some(buffer) if dims.iter().product::<usize>() == buffer.len() => {
                Ok(Self::shared(dims.to_vec(), buffer.clone()))
            }
            _ => Ok(self.tensor()?.reshape(dims)?.into()),
        }
    }

    /// Returns a buffer with the elements: its own if nothing else reads it, else a copy.
    ///
    /// # Errors
    /// If the array is not `f32` on the CPU.
    pub(crate) fn into_buffer(self, arena: &Arena) -> Result<Buffer> {
        let copy = |values: &[f32]| {
            let mut buffer = arena.take(values.len());
            buffer.copy_from_slice(values);
            buffer
        };
        match Arc::try_unwrap(self.0) {
            Ok(Forms {
                dims,
                buffer,
                tensor,
            }) => match buffer.into_inner() {
                Some(buffer) => Ok(Arc::try_unwrap(buffer).unwrap_or_else(|buffer| copy(&buffer))),
                None => {
                    let forms = Forms {
                        dims,
                        buffer: OnceLock::new(),
                        tensor,
                    };
                    Ok(copy(&Self(Arc::new(forms)).elements()?))
                }
            },
            Err(forms) => Ok(copy(&Self(forms).elements()?)),
        }
    }

    /// Returns the sum with another array of the same shape, in the memory of this one if nothing
    /// else reads it.
    ///
    /// # Errors
    /// If the shapes differ.
    pub fn plus(self, other: Self, arena: &Arena) -> Result<Self> {
        if !(self.is_host() && other.is_host()) {
            return Ok((self.tensor()? + other.tensor()?)?.into());
        }
        let dims = self.dims().to_vec();
        let mut sum = self.into_buffer(arena)?;
        cpu::add_assign(&mut sum, &other.elements()?).map_err(kernel)?;
        Ok(Self::new(dims, sum))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn array(arena: &Arena, values: &[f32]) -> Array {
        let mut buffer = arena.take(values.len());
        buffer.copy_from_slice(values);
        Array::new([values.len()], buffer)
    }

    #[test]
    fn forms_are_made_from_each_other() {
        let arena = Arena::new();
        let host = array(&arena, &[1.0, 2.0, 3.0, 4.0])
            .reshape(&[2, 2])
            .unwrap();
        assert_eq!(
            host.tensor().unwrap().to_vec2::<f32>().unwrap(),
            [[1.0, 2.0], [3.0, 4.0]]
        );
        let turned = Array::from(host.tensor().unwrap().t().unwrap());
        assert_eq!(*turned.elements().unwrap(), [1.0, 3.0, 2.0, 4.0]);
        assert_eq!(turned.dims(), [2, 2]);
        let ids = Array::from(Tensor::new(&[1_u32], &Device::Cpu).unwrap());
        assert!(!ids.is_host());
        let error = ids.elements().unwrap_err().to_string();
        assert!(
            error.contains("expected contiguous f32 in CPU memory, found U32"),
            "{error}"
        );
    }

    #[test]
    fn a_sum_reuses_memory_that_nothing_else_reads() {
        let arena = Arena::new();
        let (a, b) = (array(&arena, &[1.0; 3000]), array(&arena, &[2.0; 3000]));
        let place = a.elements().unwrap().as_ptr();
        let sum = a.plus(b.clone(), &arena).unwrap();
        assert_eq!(
            (sum.elements().unwrap().as_ptr(), arena.allocations()),
            (place, 2)
        );
        let kept = b.clone();
        let more = b.plus(sum, &arena).unwrap();
        assert_eq!(more.elements().unwrap()[0], 5.0);
        assert_eq!(kept.elements().unwrap()[0], 2.0);
        let view = kept.reshape(&[3000, 1]).unwrap();
        drop(kept.plus(more, &arena).unwrap());
        assert_eq!(view.elements().unwrap()[2999], 2.0);
    }

    #[test]
    fn a_shape_that_does_not_fit_is_an_error() {
        let arena = Arena::new();
        let a = array(&arena, &[1.0; 6]);
        assert!(a.reshape(&[4]).is_err());
        assert!(a.plus(array(&arena, &[1.0; 5]), &arena).is_err());
    }
}
