use crate::case::{cases, one};
use candle_core::{Device, Tensor};
use rtune_nn::{CustomAttribute, CustomOp, Ops as _, OutputFact, Param, Var};
use rtune_train::Tape;

/// `LeakyRelu` of the standard, with its gradient.
fn leaky_relu(alpha: f32) -> CustomOp {
    let slope = f64::from(alpha);
    CustomOp::new("", "LeakyRelu", 16, [OutputFact::Like(0)], move |x| {
        let negative = (x[0].minimum(&x[0].zeros_like()?)? * slope)?;
        Ok(vec![(x[0].relu()? + negative)?])
    })
    .attribute("alpha", CustomAttribute::Float(alpha))
    .with_backward(move |x, _, gradient| {
        let positive = x[0].gt(0_f64)?.to_dtype(gradient.dtype())?;
        let slope = positive.affine(1.0 - slope, slope)?;
        Ok(vec![Some(gradient.mul(&slope)?)])
    })
}

cases! {
    leaky_relu_as_custom: one, |x, p, s| {
        let outputs = Var::custom(&leaky_relu(0.25), &[&(&x[0] + 2.5)?])?;
        Ok(outputs[0].clone())
    };
}

#[test]
fn a_custom_operator_without_a_gradient_cannot_be_trained_through() {
    let op = CustomOp::new("", "Mish", 18, [OutputFact::Like(0)], |x| Ok(x.to_vec()));
    let tape = Tape::new();
    let x = Tensor::new(&[1_f32], &Device::Cpu).unwrap();
    let constant = rtune_train::TapeValue::constant(x.clone());
    assert_eq!(tape.custom(&op, &[&constant]).unwrap().len(), 1);
    let leaf = tape.param(&Param::new("x", x)).unwrap();
    assert_eq!(
        tape.custom(&op, &[&leaf]).unwrap_err().to_string(),
        "custom operator Mish: has no gradient; give it a backward function, or use it outside \
         training"
    );
}
