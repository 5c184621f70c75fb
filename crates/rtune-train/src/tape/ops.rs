//! Each operation with its gradient.

use super::{Tape, TapeValue};
use crate::kernels;
use candle_core::{D, Tensor};
use rtune_nn::{AttentionSpec, Eager, Extent, Ops, Param, Result, TokenSequences};

/// Sums over the axes that broadcasting repeated, so that the gradient has the input's shape.
fn unbroadcast(gradient: &Tensor, dims: &[usize]) -> Result<Tensor> {
    if gradient.dims() == dims {
        return Ok(gradient.clone());
    }
    // A bias of one axis is the common case.
    if let [width] = dims
        && gradient.dims().last() == Some(width)
    {
        return kernels::column_sum(gradient);
    }
    let extra = gradient.rank() - dims.len();
    let mut sum = gradient.clone();
    for _ in 0..extra {
        sum = sum.sum(0)?;
    }
    for (axis, size) in dims.iter().enumerate() {
        if *size == 1 && sum.dim(axis)? != 1 {
            sum = sum.sum_keepdim(axis)?;
        }
    }
    Ok(sum)
}

fn swap_last(x: &Tensor) -> Result<Tensor> {
    Ok(x.transpose(D::Minus1, D::Minus2)?)
}

impl Tape {
    /// An operation on one input.
    fn unary(
        &self,
        x: &TapeValue,
        output: Tensor,
        backward: impl FnOnce(&Tensor) -> Result<Tensor> + 'static,
    ) -> Result<TapeValue> {
        Ok(self.record(&[x], output, |gradient, flow| {
            flow.add(0, || backward(gradient))
        }))
    }

    /// An elementwise operation on two inputs that may be broadcast.
    fn binary(
        &self,
        a: &TapeValue,
        b: &TapeValue,
        output: Tensor,
        to_a: impl FnOnce(&Tensor) -> Result<Tensor> + 'static,
        to_b: impl FnOnce(&Tensor) -> Result<Tensor> + 'static,
    ) -> Result<TapeValue> {
        let (a_dims, b_dims) = (a.tensor.dims().to_vec(), b.tensor.dims().to_vec());
        Ok(self.record(&[a, b], output, move |gradient, flow| {
            flow.add(0, || unbroadcast(&to_a(gradient)?, &a_dims))?;
            flow.add(1, || unbroadcast(&to_b(gradient)?, &b_dims))
        }))
    }
}

impl Ops for Tape {
    type Value = TapeValue;
    type Sequences = TokenSequences;

    fn param(&self, param: &Param) -> Result<TapeValue> {
        Ok(self.leaf(param.name(), param.value()))
    }

    fn add(&self, a: &TapeValue, b: &TapeValue) -> Result<TapeValue> {
        let output = a.tensor.broadcast_add(&b.tensor)?;
        self.binary(a, b, output, |g| Ok(g.clone()), |g| Ok(g.clone()))
    }

    fn sub(&self, a: &TapeValue, b: &TapeValue) -> Result<TapeValue> {
        let output = a.tensor.broadcast_sub(&b.tensor)?;
        self.binary(a, b, output, |g| Ok(g.clone()), |g| Ok(g.neg()?))
    }

    fn mul(&self, a: &TapeValue, b: &TapeValue) -> Result<TapeValue> {
        let output = a.tensor.broadcast_mul(&b.tensor)?;
        let (left, right) = (a.tensor.clone(), b.tensor.clone());
        self.binary(
            a,
            b,
            output,
            move |g| Ok(g.broadcast_mul(&right)?),
            move |g| Ok(g.broadcast_mul(&left)?),
        )
    }

    fn div(&self, a: &TapeValue, b: &TapeValue) -> Result<TapeValue> {
        let output = a.tensor.broadcast_div(&b.tensor)?;
        let (quotient, divisor, divisor_too) = (output.clone(), b.tensor.clone(), b.tensor.clone());
        self.binary(
            a,
            b,
            output,
            move |g| Ok(g.broadcast_div(&divisor)?),
            move |g| Ok(g.mul(&quotient)?.broadcast_div(&divisor_too)?.neg()?),
        )
    }

    fn affine(&self, x: &TapeValue, multiply: f64, add: f64) -> Result<TapeValue> {
        self.unary(x, x.tensor.affine(multiply, add)?, move |g| {
            Ok(g.affine(multiply, 0.0)?)
        })
    }

    fn matmul(&self, a: &TapeValue, b: &TapeValue) -> Result<TapeValue> {
        let output = a.tensor.broadcast_matmul(&b.tensor)?;
        let (left, right) = (a.tensor.clone(), b.tensor.clone());
        self.binary(
            a,
            b,
            output,
            move |g| Ok(g.broadcast_matmul(&swap_last(&right)?)?),
            move |g| Ok(swap_last(&left)?.broadcast_matmul(g)?),
        )
    }

    fn transpose(&self, x: &TapeValue, order: &[usize]) -> Result<TapeValue> {
        let mut inverse = vec![0; order.len()];
        for (to, from) in order.iter().enumerate() {
            inverse[*from] = to;
        }
        self.unary(
            x,
            x.tensor.permute(order)?,
            move |g| Ok(g.permute(inverse)?),
        )
    }

    fn reshape(&self, x: &TapeValue, shape: &[Extent]) -> Result<TapeValue> {
        let dims = x.tensor.dims().to_vec();
        self.unary(x, Eager::reshape_tensor(&x.tensor, shape)?, move |g| {
            Ok(g.reshape(dims)?)
        })
    }

    fn exp(&self, x: &TapeValue) -> Result<TapeValue> {
        let y = x.tensor.exp()?;
        self.unary(x, y.clone(), move |g| Ok(g.mul(&y)?))
    }

    fn sqrt(&self, x: &TapeValue) -> Result<TapeValue> {
        let y = x.tensor.sqrt()?;
        self.unary(x, y.clone(), move |g| Ok((g.div(&y)? * 0.5)?))
    }

    fn erf(&self, x: &TapeValue) -> Result<TapeValue> {
        let input = x.tensor.clone();
        self.unary(x, x.tensor.erf()?, move |g| {
            Ok(g.mul(&(input.sqr()?.neg()?.exp()? * std::f64::consts::FRAC_2_SQRT_PI)?)?)
        })
    }

    fn tanh(&self, x: &TapeValue) -> Result<TapeValue> {
        let y = x.tensor.tanh()?;
        self.unary(x, y.clone(), move |g| {
            Ok(g.mul(&y.sqr()?.affine(-1.0, 1.0)?)?)
        })
    }

    fn relu(&self, x: &TapeValue) -> Result<TapeValue> {
        let y = x.tensor.relu()?;
        self.unary(x, y.clone(), move |g| {
            Ok(g.mul(&y.gt(0.0)?.to_dtype(g.dtype())?)?)
        })
    }

    fn sum_last(&self, x: &TapeValue) -> Result<TapeValue> {
        let shape = x.tensor.shape().clone();
        self.unary(x, x.tensor.sum_keepdim(D::Minus1)?, move |g| {
            Ok(g.broadcast_as(shape)?.contiguous()?)
        })
    }

    fn mean_last(&self, x: &TapeValue) -> Result<TapeValue> {
        let shape = x.tensor.shape().clone();
        #[allow(clippy::cast_precision_loss)] // A width is small.
        let share = 1.0 / x.tensor.dim(D::Minus1)? as f64;
        let output = x.tensor.mean_keepdim(D::Minus1)?;
        self.unary(x, output, move |g| {
            Ok((g * share)?.broadcast_as(shape)?.contiguous()?)
        })
    }

    fn max_last(&self, x: &TapeValue) -> Result<TapeValue> {
        let (input, output) = (x.tensor.clone(), x.tensor.max_keepdim(D::Minus1)?);
        let largest = output.clone();
        self.unary(x, output, move |g| {
            // Elements that share the maximum share its gradient.
            let hits = input.broadcast_eq(&largest)?.to_dtype(g.dtype())?;
            Ok(hits.broadcast_mul(&g.div(&hits.sum_keepdim(D::Minus1)?)?)?)
        })
    }

    fn gather(&self, table: &TapeValue, ids: &TapeValue) -> Result<TapeValue> {
        let (rows, ids) = (table.tensor.dim(0)?, ids.tensor.clone());
        let output = Eager::gather_tensor(&table.tensor, &ids)?;
        self.unary(table, output, move |g| {
            kernels::gather_backward(rows, &ids, g)
        })
    }

    fn position_ids(&self, sequences: &TokenSequences) -> Result<TapeValue> {
        Ok(TapeValue::constant(sequences.positions().clone()))
    }

    fn mask_bias(&self, sequences: &TokenSequences) -> Result<TapeValue> {
        Ok(TapeValue::constant(sequences.mask_bias().clone()))
    }

    fn split_heads(
        &self,
        x: &TapeValue,
        spec: &AttentionSpec,
        sequences: &TokenSequences,
    ) -> Result<TapeValue> {
        let (spec, sequences) = (*spec, sequences.clone());
        let output = sequences.split_heads(&x.tensor, &spec)?;
        self.unary(x, output, move |g| sequences.split_heads_backward(g, &spec))
    }

    fn merge_heads(
        &self,
        x: &TapeValue,
        spec: &AttentionSpec,
        sequences: &TokenSequences,
    ) -> Result<TapeValue> {
        let (spec, sequences) = (*spec, sequences.clone());
        let output = sequences.merge_heads(&x.tensor, &spec)?;
        self.unary(x, output, move |g| sequences.merge_heads_backward(g, &spec))
    }

    fn mean_pool(&self, hidden: &TapeValue, sequences: &TokenSequences) -> Result<TapeValue> {
        let sequences = sequences.clone();
        let output = sequences.mean_pool(&hidden.tensor)?;
        self.unary(hidden, output, move |g| sequences.mean_pool_backward(g))
    }

    fn first_pool(&self, hidden: &TapeValue, sequences: &TokenSequences) -> Result<TapeValue> {
        let (sequences, like) = (sequences.clone(), hidden.tensor.clone());
        let output = sequences.first_pool(&hidden.tensor)?;
        self.unary(hidden, output, move |g| {
            sequences.first_pool_backward(g, &like)
        })
    }

    fn dropout(&self, x: &TapeValue, rate: f64) -> Result<TapeValue> {
        let Some(key) = self.next_dropout().filter(|_| rate > 0.0) else {
            return Ok(x.clone());
        };
        let output = kernels::dropout(&x.tensor, rate, key)?;
        self.unary(x, output, move |g| kernels::dropout(g, rate, key))
    }

    fn linear(&self, x: &TapeValue, weight: &Param, bias: Option<&Param>) -> Result<TapeValue> {
        let output = Eager::linear_tensor(&x.tensor, weight.value(), bias.map(Param::value))?;
        let weight_leaf = self.param(weight)?;
        let bias_leaf = bias.map(|bias| self.param(bias)).transpose()?;
        let (input, weight) = (x.tensor.clone(), weight.value().clone());
        let mut inputs = vec![x, &weight_leaf];
        inputs.extend(&bias_leaf);
        let has_bias = bias_leaf.is_some();
        Ok(self.record(&inputs, output, move |gradient, flow| {
            let (outputs, width) = weight.dims2()?;
            let rows = input.elem_count() / width.max(1);
            let flat = gradient.reshape((rows, outputs))?;
            flow.add(0, || Ok(flat.matmul(&weight)?.reshape(input.shape())?))?;
            flow.add(1, || {
                Ok(flat.t()?.matmul(&input.reshape((rows, width))?)?)
            })?;
            if has_bias {
                flow.add(2, || kernels::column_sum(&flat))
            } else {
                Ok(())
            }
        }))
    }

    fn layer_norm(
        &self,
        x: &TapeValue,
        weight: &Param,
        bias: &Param,
        epsilon: f64,
    ) -> Result<TapeValue> {
        let output = Eager::new().layer_norm(&x.tensor, weight, bias, epsilon)?;
        let (weight_leaf, bias_leaf) = (self.param(weight)?, self.param(bias)?);
        let (input, weight) = (x.tensor.clone(), weight.value().clone());
        Ok(self.record(
            &[x, &weight_leaf, &bias_leaf],
            output,
            move |gradient, flow| {
                let gradients = kernels::layer_norm_backward(&input, &weight, gradient, epsilon)?;
                gradients
                    .into_iter()
                    .enumerate()
                    .try_for_each(|(index, gradient)| flow.add(index, || Ok(gradient)))
            },
        ))
    }

    fn gelu(&self, x: &TapeValue) -> Result<TapeValue> {
        let input = x.tensor.clone();
        self.unary(x, kernels::gelu(&x.tensor)?, move |g| {
            kernels::gelu_backward(&input, g)
        })
    }

    fn softmax(&self, x: &TapeValue) -> Result<TapeValue> {
        let y = Eager::new().softmax(&x.tensor)?;
        self.unary(x, y.clone(), move |g| kernels::softmax_backward(&y, g))
    }
}
