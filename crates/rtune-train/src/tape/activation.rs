//! Activations and dropout.

use super::formulas;
use super::{Array, Tape, TapeValue, kernel};
use rtune_kernels::cpu;
use rtune_nn::{Eager, NnError, Ops as _, Result};

/// Returns the size of the last axis.
pub(super) fn last(array: &Array) -> Result<usize> {
    let last = array.dims().last().copied();
    last.ok_or_else(|| NnError::operation("expected a tensor with at least one axis"))
}

impl Tape {
    pub(super) fn record_gelu_erf(&self, x: &TapeValue) -> Result<TapeValue> {
        let input = x.array.clone();
        if !input.is_host() {
            return self.one(x, x.tensor()?.gelu_erf()?, move |g| {
                formulas::gelu_backward(input.tensor()?, g)
            });
        }
        let elements = x.array.elements()?;
        let y = self.filled(input.dims(), |y| cpu::gelu(&elements, y))?;
        Ok(self.record_array(&[x], y, move |gradient, flow| {
            let mut gradient = gradient.into_buffer(flow.arena())?;
            cpu::gelu_backward_assign(&input.elements()?, &mut gradient).map_err(kernel)?;
            flow.add(0, || Ok(Array::new(input.dims(), gradient)))
        }))
    }

    pub(super) fn record_softmax(&self, x: &TapeValue) -> Result<TapeValue> {
        if !x.array.is_host() {
            let y = Eager::new().softmax(x.tensor()?)?;
            return self.one(x, y.clone(), move |g| formulas::softmax_backward(&y, g));
        }
        let (width, elements) = (last(&x.array)?, x.array.elements()?);
        let y = self.filled(x.array.dims(), |y| cpu::softmax(&elements, width, y))?;
        Ok(self.record_array(&[x], y.clone(), move |gradient, flow| {
            let (output, gradient) = (y.elements()?, gradient.elements()?);
            flow.fill(0, y.dims(), |x| {
                cpu::softmax_backward(&output, &gradient, width, x)
            })
        }))
    }

    pub(super) fn record_dropout(&self, x: &TapeValue, rate: f64) -> Result<TapeValue> {
        let Some(key) = self.next_dropout().filter(|_| rate > 0.0) else {
            return Ok(x.clone());
        };
        let mask = cpu::Dropout::new(rate, key).map_err(kernel)?;
        if !x.array.is_host() {
            let output = formulas::dropout(x.tensor()?, &mask)?;
            return self.one(x, output, move |g| formulas::dropout(g, &mask));
        }
        let elements = x.array.elements()?;
        let y = self.filled(x.array.dims(), |y| cpu::dropout(&elements, &mask, y))?;
        Ok(self.record_array(&[x], y, move |gradient, flow| {
            let dims = gradient.dims().to_vec();
            let mut gradient = gradient.into_buffer(flow.arena())?;
            cpu::dropout_assign(&mut gradient, &mask);
            flow.add(0, || Ok(Array::new(dims, gradient)))
        }))
    }
}
