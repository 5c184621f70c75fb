//! Gradients on devices other than the CPU: by the kernels of the device, or as candle operations
//! where it has none.

use super::elements;
use crate::cuda;
use candle_core::{D, DType, Device, Tensor};
use rtune_kernels::cpu;
use rtune_nn::{NnError, Result};

/// Returns x · weightᵀ + bias over all rows.
///
/// # Shapes
/// x `[.., inputs]`, weight `[outputs, inputs]`, bias `[outputs]` → `[.., outputs]`
pub(super) fn linear(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let (outputs, inputs) = weight.dims2()?;
    let mut dims = x.dims().to_vec();
    if let Some(last) = dims.last_mut() {
        *last = outputs;
    }
    let mut product = x.reshape(((), inputs))?.matmul(&weight.t()?)?;
    if let Some(bias) = bias
        && cuda::add_row(&product, bias)?.is_none()
    {
        product = product.broadcast_add(bias)?;
    }
    Ok(product.reshape(dims)?)
}

/// Returns the gradient of x · Φ(x): g · (Φ(x) + x · φ(x)).
pub(super) fn gelu_backward(x: &Tensor, gradient: &Tensor) -> Result<Tensor> {
    if let Some(result) = cuda::gelu_backward(x, gradient)? {
        return Ok(result);
    }
    let cumulative = (x * std::f64::consts::FRAC_1_SQRT_2)?
        .erf()?
        .affine(0.5, 0.5)?;
    let density = ((x.sqr()? * -0.5)?.exp()? * 0.398_942_280_401_432_7)?;
    Ok(((x * density)? + cumulative)?.mul(gradient)?)
}

/// Returns the gradient of softmax over the last axis: y · (g − Σ g · y).
pub(super) fn softmax_backward(y: &Tensor, gradient: &Tensor) -> Result<Tensor> {
    if let Some(result) = cuda::softmax_backward(y, gradient)? {
        return Ok(result);
    }
    let product = (y * gradient)?;
    Ok((&product - y.broadcast_mul(&product.sum_keepdim(D::Minus1)?)?)?)
}

/// Returns the number of rows of the last axis.
fn rows(x: &Tensor) -> Result<usize> {
    let width = x.dim(D::Minus1)?;
    x.elem_count()
        .checked_div(width)
        .ok_or_else(|| NnError::operation(format!("rows of width 0 in a tensor {:?}", x.dims())))
}

/// Returns the sum over all rows, as for a bias.
///
/// # Shapes
/// gradient `[.., width]` → `[width]`
pub(super) fn column_sum(gradient: &Tensor) -> Result<Tensor> {
    let width = gradient.dim(D::Minus1)?;
    if matches!(gradient.device(), Device::Cpu) && gradient.dtype() == DType::F32 {
        let gradient = gradient.contiguous()?;
        let mut sum = vec![0.0; width];
        cpu::column_sum(&elements(&gradient)?, &mut sum).map_err(super::kernel)?;
        return Ok(Tensor::from_vec(sum, width, &Device::Cpu)?);
    }
    if let Some(sum) = cuda::column_sum(gradient)? {
        return Ok(sum);
    }
    Ok(gradient.reshape((rows(gradient)?, width))?.sum(0)?)
}

/// Returns the gradients of layer normalization over the last axis, for x, weight and bias.
///
/// With n = (x − mean) / σ and h = g · weight: dx = (h − mean(h) − n · mean(h · n)) / σ.
///
/// # Shapes
/// x and gradient `[.., width]`, weight `[width]` → `[.., width]`, `[width]`, `[width]`
pub(super) fn layer_norm_backward(
    x: &Tensor,
    weight: &Tensor,
    gradient: &Tensor,
    epsilon: f64,
) -> Result<[Tensor; 3]> {
    if let Some(gradients) = cuda::layer_norm_backward(x, weight, gradient, epsilon)? {
        return Ok(gradients);
    }
    let width = x.dim(D::Minus1)?;
    let centered = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
    let deviation = (centered.sqr()?.mean_keepdim(D::Minus1)? + epsilon)?.sqrt()?;
    let normal = centered.broadcast_div(&deviation)?;
    let h = gradient.broadcast_mul(weight)?;
    let inner = h.broadcast_sub(&h.mean_keepdim(D::Minus1)?)?;
    let inner = (inner - normal.broadcast_mul(&(&h * &normal)?.mean_keepdim(D::Minus1)?)?)?;
    let rows = rows(x)?;
    let sum = |t: Tensor| t.reshape((rows, width))?.sum(0);
    Ok([
        inner.broadcast_div(&deviation)?,
        sum((gradient * &normal)?)?,
        sum(gradient.clone())?,
    ])
}

/// Returns the gradient of a table's rows: each row is the sum of the gradients of the places that
/// have its id.
///
/// # Shapes
/// ids `[..]`, gradient `[.., width]` → `[rows, width]`
pub(super) fn gather_backward(rows: usize, ids: &Tensor, gradient: &Tensor) -> Result<Tensor> {
    let width = gradient.dim(D::Minus1)?;
    let flat = gradient.reshape((ids.elem_count(), width))?;
    let ids = ids.flatten_all()?;
    if let Some(table) = cuda::embedding_backward(rows, &ids, &flat)? {
        return Ok(table);
    }
    let zeros = Tensor::zeros((rows, width), gradient.dtype(), gradient.device())?;
    Ok(zeros.index_add(&ids, &flat, 0)?)
}

/// Multiplies by a dropout mask; all devices drop alike.
pub(super) fn dropout(x: &Tensor, mask: &cpu::Dropout) -> Result<Tensor> {
    if let Some(result) = cuda::dropout(x, mask)? {
        return Ok(result);
    }
    let mut factors = vec![1.0_f32; x.elem_count()];
    cpu::dropout_assign(&mut factors, mask);
    Ok((x * Tensor::from_vec(factors, x.shape(), x.device())?)?)
}

#[cfg(test)]
mod tests {
    use super::super::{Array, Tape, TapeValue};
    use super::*;
    use rtune_nn::{Ops as _, Param};

    /// Returns 7 rows of 33 elements.
    fn random() -> Tensor {
        Tensor::randn(0_f32, 1.0, (7, 33), &Device::Cpu).unwrap()
    }

    #[track_caller]
    fn assert_close(found: &Array, expected: &Tensor) {
        let difference = (found.tensor().unwrap() - expected).unwrap().abs().unwrap();
        let largest = difference.flatten_all().unwrap().max(0).unwrap();
        let largest = largest.to_scalar::<f32>().unwrap();
        assert!(largest < 1e-4, "{largest}");
    }

    /// Returns the gradient of Σ g · f(x) by x and by other parameters, through the tape.
    fn gradients(
        x: &Tensor,
        g: &Tensor,
        f: impl Fn(&Tape, &TapeValue) -> TapeValue,
    ) -> crate::Gradients {
        let tape = Tape::new();
        let x = tape.param(&Param::new("x", x.clone())).unwrap();
        let y = f(&tape, &x);
        let loss = tape
            .binary(rtune_nn::BinaryOp::Mul, &y, &TapeValue::constant(g.clone()))
            .unwrap();
        tape.backward(&loss).unwrap()
    }

    #[test]
    fn formulas_agree_with_the_kernels_of_the_tape() {
        let (x, g) = (random(), random());
        let found = gradients(&x, &g, |tape, x| tape.gelu_erf(x).unwrap());
        assert_close(&found["x"], &gelu_backward(&x, &g).unwrap());

        let y = Tape::new()
            .softmax(&TapeValue::constant(x.clone()))
            .unwrap();
        let found = gradients(&x, &g, |tape, x| tape.softmax(x).unwrap());
        assert_close(
            &found["x"],
            &softmax_backward(y.tensor().unwrap(), &g).unwrap(),
        );

        let weight = Param::new(
            "weight",
            Tensor::randn(0_f32, 1.0, 33, &Device::Cpu).unwrap(),
        );
        let bias = Param::new("bias", Tensor::zeros(33, DType::F32, &Device::Cpu).unwrap());
        let found = gradients(&x, &g, |tape, x| {
            tape.layer_norm(x, &weight, Some(&bias), 1e-5).unwrap()
        });
        let expected = layer_norm_backward(&x, weight.value(), &g, 1e-5).unwrap();
        for (name, expected) in ["x", "weight", "bias"].iter().zip(&expected) {
            assert_close(&found[*name], expected);
        }
        let sum = Array::from(column_sum(&g).unwrap());
        assert_close(&sum, &g.sum(0).unwrap());

        let ids = Tensor::new(&[3_u32, 0, 3, 6], &Device::Cpu).unwrap();
        let g = g.narrow(0, 0, 4).unwrap();
        let found = gradients(&x, &g, |tape, x| {
            tape.gather(x, &TapeValue::constant(ids.clone())).unwrap()
        });
        assert_close(&found["x"], &gather_backward(7, &ids, &g).unwrap());
    }
}
