//! Activations and dropout.

use super::{Tape, TapeValue};
use crate::kernels;
use rtune_nn::{Eager, Ops as _, Result};

impl Tape {
    pub(super) fn record_gelu_erf(&self, x: &TapeValue) -> Result<TapeValue> {
        let input = x.tensor.clone();
        self.one(x, kernels::gelu(&x.tensor)?, move |g| {
            kernels::gelu_backward(&input, g)
        })
    }

    pub(super) fn record_softmax(&self, x: &TapeValue) -> Result<TapeValue> {
        let y = Eager::new().softmax(&x.tensor)?;
        self.one(x, y.clone(), move |g| kernels::softmax_backward(&y, g))
    }

    pub(super) fn record_dropout(&self, x: &TapeValue, rate: f64) -> Result<TapeValue> {
        let Some(key) = self.next_dropout().filter(|_| rate > 0.0) else {
            return Ok(x.clone());
        };
        let output = kernels::dropout(&x.tensor, rate, key)?;
        self.one(x, output, move |g| kernels::dropout(g, rate, key))
    }
}
