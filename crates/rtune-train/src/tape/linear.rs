//! Matrix products and linear layers.

use super::activation::last;
use super::formulas;
use super::{Array, Flow, Tape, TapeValue, Target, elements};
use candle_core::{D, Tensor};
use rtune_kernels::cpu::{self, Matrix, MatrixMut};
use rtune_nn::{NnError, Ops as _, Param, Result};

fn swap_last(x: &Tensor) -> Result<Tensor> {
    Ok(x.transpose(D::Minus1, D::Minus2)?)
}

impl Tape {
    pub(super) fn record_matmul(&self, a: &TapeValue, b: &TapeValue) -> Result<TapeValue> {
        let (left, right) = (a.tensor()?.clone(), b.tensor()?.clone());
        let output = left.broadcast_matmul(&right)?;
        self.two(
            a,
            b,
            output,
            move |g| Ok(g.broadcast_matmul(&swap_last(&right)?)?),
            move |g| Ok(swap_last(&left)?.broadcast_matmul(g)?),
        )
    }

    pub(super) fn record_linear(
        &self,
        x: &TapeValue,
        weight: &Param,
        bias: Option<&Param>,
    ) -> Result<TapeValue> {
        let layer = Layer::new(&x.array, weight)?;
        let host = x.array.is_host();
        let output = if host {
            self.filled_linear(&layer, bias)?
        } else {
            formulas::linear(x.tensor()?, weight.value(), bias.map(Param::value))?.into()
        };
        let weight_leaf = self.param(weight)?;
        let bias_leaf = bias.map(|bias| self.param(bias)).transpose()?;
        let mut inputs = vec![x, &weight_leaf];
        inputs.extend(&bias_leaf);
        let has_bias = bias_leaf.is_some();
        Ok(self.record_array(&inputs, output, move |gradient, flow| {
            if host {
                layer.backward_host(&gradient, has_bias, flow)
            } else {
                layer.backward(gradient.tensor()?, has_bias, flow)
            }
        }))
    }

    fn filled_linear(&self, layer: &Layer, bias: Option<&Param>) -> Result<Array> {
        let Layer {
            ref x,
            ref weight,
            rows,
            inputs,
            outputs,
        } = *layer;
        let mut dims = x.dims().to_vec();
        if let Some(last) = dims.last_mut() {
            *last = outputs;
        }
        let (x, weight) = (x.elements()?, elements(weight)?);
        let bias = bias.map(|bias| elements(bias.value())).transpose()?;
        self.filled(&dims, |output| {
            let weight = Matrix::new(&weight, outputs, inputs)?.transposed();
            let x = Matrix::new(&x, rows, inputs)?;
            if let Some(bias) = &bias {
                cpu::fill_rows(bias, output)?;
                cpu::matmul_add(1.0, x, weight, MatrixMut::new(output, rows, outputs)?)
            } else {
                cpu::matmul(1.0, x, weight, MatrixMut::new(output, rows, outputs)?)
            }
        })
    }
}

/// One use of a linear layer.
struct Layer {
    x: Array,
    weight: Tensor,
    rows: usize,
    inputs: usize,
    outputs: usize,
}

impl Layer {
    fn new(x: &Array, weight: &Param) -> Result<Self> {
        let (outputs, inputs) = weight.value().dims2()?;
        if last(x)? != inputs || inputs == 0 {
            return Err(NnError::operation(format!(
                "linear layer `{}`: the input has shape {:?}, expected a last axis of {inputs}",
                weight.name(),
                x.dims()
            )));
        }
        let rows = x.elem_count() / inputs;
        Ok(Self {
            x: x.clone(),
            weight: weight.value().clone(),
            rows,
            inputs,
            outputs,
        })
    }

    fn backward_host(&self, gradient: &Array, has_bias: bool, flow: &mut Flow<'_>) -> Result<()> {
        let Self {
            x,
            weight,
            rows,
            inputs,
            outputs,
        } = self;
        let gradient = gradient.elements()?;
        let weight_values = elements(weight)?;
        flow.write(0, x.dims(), |x_gradient, target| {
            let gradient = Matrix::new(&gradient, *rows, *outputs)?;
            let weight = Matrix::new(&weight_values, *outputs, *inputs)?;
            product(target)(
                1.0,
                gradient,
                weight,
                MatrixMut::new(x_gradient, *rows, *inputs)?,
            )
        })?;
        let x = x.elements()?;
        flow.write(1, weight.dims(), |weight_gradient, target| {
            let gradient = Matrix::new(&gradient, *rows, *outputs)?.transposed();
            let x = Matrix::new(&x, *rows, *inputs)?;
            let output = MatrixMut::new(weight_gradient, *outputs, *inputs)?;
            product(target)(1.0, gradient, x, output)
        })?;
        if !has_bias {
            return Ok(());
        }
        flow.write(2, &[*outputs], |bias_gradient, target| match target {
            Target::Fresh => cpu::column_sum(&gradient, bias_gradient),
            Target::Add => cpu::column_sum_add(&gradient, bias_gradient),
        })
    }

    fn backward(&self, gradient: &Tensor, has_bias: bool, flow: &mut Flow<'_>) -> Result<()> {
        let flat = gradient.reshape((self.rows, self.outputs))?;
        let x = self.x.tensor()?;
        flow.add(0, || Ok(flat.matmul(&self.weight)?.reshape(x.shape())?))?;
        flow.add(1, || {
            Ok(flat.t()?.matmul(&x.reshape((self.rows, self.inputs))?)?)
        })?;
        if has_bias {
            flow.add(2, || formulas::column_sum(&flat))
        } else {
            Ok(())
        }
    }
}

/// The signature of a matrix product.
type Product = fn(f32, Matrix<'_>, Matrix<'_>, MatrixMut<'_>) -> rtune_kernels::Result<()>;

fn product(target: Target) -> Product {
    match target {
        Target::Fresh => cpu::matmul,
        Target::Add => cpu::matmul_add,
    }
}
