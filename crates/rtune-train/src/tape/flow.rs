use super::{Arena, Array, kernel};
use rtune_kernels::KernelError;
use rtune_nn::Result;

/// The gradients that flow to the inputs of one operation.
pub(crate) struct Flow<'a> {
    pub(super) inputs: &'a [Option<usize>],
    pub(super) gradients: &'a mut Vec<Option<Array>>,
    pub(super) arena: &'a Arena,
}

impl Flow<'_> {
    /// Returns the memory of the tape.
    pub(crate) fn arena(&self) -> &Arena {
        self.arena
    }

    /// Adds to the gradient of input `index`, computed only if it is needed.
    pub(crate) fn add<A: Into<Array>>(
        &mut self,
        index: usize,
        gradient: impl FnOnce() -> Result<A>,
    ) -> Result<()> {
        let Some(node) = self.inputs[index] else {
            return Ok(());
        };
        let gradient = gradient()?.into();
        let slot = &mut self.gradients[node];
        *slot = Some(match slot.take() {
            Some(sum) => sum.plus(gradient, self.arena)?,
            None => gradient,
        });
        Ok(())
    }

    /// Lets `fill` compute the gradient of input `index` in fresh memory, if it is needed; it must
    /// overwrite all elements.
    pub(crate) fn fill(
        &mut self,
        index: usize,
        dims: &[usize],
        fill: impl FnOnce(&mut [f32]) -> Result<(), KernelError>,
    ) -> Result<()> {
        let arena = self.arena;
        self.add(index, || {
            let mut buffer = arena.take(dims.iter().product());
            fill(&mut buffer).map_err(kernel)?;
            Ok(Array::new(dims, buffer))
        })
    }

    /// Lets `write` compute the gradient of input `index` in place, if it is needed: with
    /// `Target::Add` it must add to the elements, with `Target::Fresh` overwrite all of them.
    pub(crate) fn write(
        &mut self,
        index: usize,
        dims: &[usize],
        write: impl FnOnce(&mut [f32], Target) -> Result<(), KernelError>,
    ) -> Result<()> {
        let Some(node) = self.inputs[index] else {
            return Ok(());
        };
        let (mut buffer, target) = match self.gradients[node].take() {
            Some(sum) => (sum.into_buffer(self.arena)?, Target::Add),
            None => (self.arena.take(dims.iter().product()), Target::Fresh),
        };
        write(&mut buffer, target).map_err(kernel)?;
        self.gradients[node] = Some(Array::new(dims, buffer));
        Ok(())
    }
}

/// The state of the memory that a gradient is written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    /// Arbitrary numbers.
    Fresh,
    /// The gradient so far.
    Add,
}
