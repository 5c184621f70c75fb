//! The vocabulary, the eager interpreter and the token layout.

#![expect(
    clippy::unwrap_used,
    reason = "a failure of a helper is the test's failure"
)]

use candle_core::{D, Device, Tensor};
use rtune_nn::{
    Attention, Constant, CustomOp, Eager, Extent, Kind, Ops as _, OutputFact, Param, Positions,
    Rotary, SequenceOps as _, TokenSequences, Var,
};

fn tensor(values: &[f32]) -> Tensor {
    Tensor::new(values, &Device::Cpu).unwrap()
}

fn flat(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

fn ids(tensor: &Tensor) -> Vec<u32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

#[test]
fn operators_take_values_references_and_numbers() {
    let ops = Eager::new();
    let (a, b) = (
        Var::new(&ops, tensor(&[1.0, 2.0])),
        Var::new(&ops, tensor(&[3.0, 5.0])),
    );
    let cases = [
        ((&a + &b).unwrap(), [4.0, 7.0]),
        ((a.clone() - &b).unwrap(), [-2.0, -3.0]),
        ((&a * b.clone()).unwrap(), [3.0, 10.0]),
        ((b.clone() / a.clone()).unwrap(), [3.0, 2.5]),
        ((&a + 1.0).unwrap(), [2.0, 3.0]),
        ((&a - 1.0).unwrap(), [0.0, 1.0]),
        ((a.clone() * 2.0).unwrap(), [2.0, 4.0]),
        ((a / 2.0).unwrap(), [0.5, 1.0]),
    ];
    for (found, expected) in cases {
        assert_eq!(flat(found.value()), expected);
    }
}

#[test]
fn traces_name_results_by_module() {
    let ops = Eager::traced();
    let x = Var::new(&ops, tensor(&[1.0]));
    {
        let _scope = ops.scope("encoder");
        (&x + &x).unwrap().relu().unwrap();
    }
    (&x + &x).unwrap();
    let names: Vec<String> = ops.into_trace().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["encoder/add", "encoder/relu", "add"]);
}

#[test]
fn an_untraced_interpreter_keeps_nothing() {
    let ops = Eager::new();
    Var::new(&ops, tensor(&[1.0])).exp().unwrap();
    assert!(ops.into_trace().is_empty());
}

#[test]
fn positions_after_padding_count_tokens() {
    // RoBERTa's rule with padding id 1: positions start at 2, padding has 1.
    let mask = [1, 1, 0, 1, 1, 1];
    let padded = TokenSequences::padded(&mask, 2, 3, &Device::Cpu).unwrap();
    let packed = TokenSequences::packed(&[0, 2, 5], &Device::Cpu).unwrap();
    let after = |sequences| {
        ids(&Eager::new()
            .position_ids(Positions::AfterPadding(1), sequences)
            .unwrap())
    };
    assert_eq!(after(&padded), [2, 3, 1, 2, 3, 4]);
    assert_eq!(after(&packed), [2, 3, 2, 3, 4]);
    let zero = |sequences| {
        ids(&Eager::new()
            .position_ids(Positions::FromZero, sequences)
            .unwrap())
    };
    assert_eq!(zero(&padded), [0, 1, 2, 0, 1, 2]);
    assert_eq!(zero(&packed), [0, 1, 0, 1, 2]);
}

#[test]
fn holes_in_the_mask_do_not_count() {
    let sequences = TokenSequences::padded(&[0, 1, 0, 1], 1, 4, &Device::Cpu).unwrap();
    let positions = Eager::new().position_ids(Positions::AfterPadding(1), &sequences);
    assert_eq!(ids(&positions.unwrap()), [1, 2, 1, 3]);
}

#[test]
fn masks_and_offsets_that_do_not_fit_are_refused() {
    assert!(TokenSequences::padded(&[1, 1, 1], 2, 2, &Device::Cpu).is_err());
    assert!(TokenSequences::packed(&[], &Device::Cpu).is_err());
    assert!(TokenSequences::packed(&[0, 3, 2], &Device::Cpu).is_err());
}

#[test]
fn pooling_leaves_padding_out() {
    let sequences = TokenSequences::padded(&[1, 1, 0], 1, 3, &Device::Cpu).unwrap();
    let ops = Eager::new();
    let hidden = tensor(&[1.0, 3.0, 100.0]).reshape((1, 3, 1)).unwrap();
    let hidden = Var::new(&ops, hidden);
    assert_eq!(flat(hidden.mean_pool(&sequences).unwrap().value()), [2.0]);
    assert_eq!(flat(hidden.first_pool(&sequences).unwrap().value()), [1.0]);
}

#[test]
fn attention_within_a_window_of_zero_returns_the_values() {
    let sequences = TokenSequences::padded(&[1, 1, 1], 1, 3, &Device::Cpu).unwrap();
    let ops = Eager::new();
    let x = tensor(&[0.5, -1.0, 2.0]).reshape((1, 3, 1)).unwrap();
    let x = Var::new(&ops, x);
    let spec = Attention {
        window: Some(0),
        ..Attention::new(1, 1)
    };
    let found = x.attention(&x, &x, &spec, &sequences).unwrap();
    assert_eq!(flat(found.value()), [0.5, -1.0, 2.0]);
}

#[test]
fn heads_that_do_not_divide_are_refused() {
    let sequences = TokenSequences::padded(&[1], 1, 1, &Device::Cpu).unwrap();
    let ops = Eager::new();
    let x = Var::new(&ops, tensor(&[1.0; 3]).reshape((1, 1, 3)).unwrap());
    for kv_heads in [0, 2] {
        let spec = Attention {
            kv_heads,
            ..Attention::new(3, 1)
        };
        assert!(x.attention(&x, &x, &spec, &sequences).is_err());
    }
}

#[test]
fn rotation_turns_by_the_position() {
    let sequences = TokenSequences::padded(&[1, 1], 1, 2, &Device::Cpu).unwrap();
    let ops = Eager::new();
    let x = Var::new(
        &ops,
        tensor(&[1.0, 0.0, 1.0, 0.0]).reshape((1, 1, 2, 2)).unwrap(),
    );
    let rotary = |dim| Rotary::new(dim, 10.0);
    let found = flat(x.rotate(2, &rotary(2), &sequences).unwrap().value());
    let (sin, cos) = 1_f32.sin_cos();
    for (found, expected) in found.iter().zip([1.0, 0.0, cos, sin]) {
        assert!((found - expected).abs() < 1e-6, "{found} {expected}");
    }
    for dim in [1, 4] {
        assert!(x.rotate(2, &rotary(dim), &sequences).is_err());
    }
}

#[test]
fn casts_round_toward_zero() {
    let ops = Eager::new();
    let x = Var::new(&ops, tensor(&[0.0, 0.9, 1.9]));
    let ints = x.cast(Kind::Int).unwrap();
    assert_eq!(ids(ints.value()), [0, 0, 1]);
    let bools = x.cast(Kind::Bool).unwrap();
    assert_eq!(bools.value().to_vec1::<u8>().unwrap(), [0, 1, 1]);
}

#[test]
fn where_takes_one_side_for_each_element() {
    let ops = Eager::new();
    let x = Var::new(&ops, tensor(&[-1.0, 2.0]));
    let zero = (&x * 0.0).unwrap();
    let found = x.gt(&zero).unwrap().where_cond(&x, &zero).unwrap();
    assert_eq!(flat(found.value()), [0.0, 2.0]);
}

#[test]
fn shapes_that_do_not_fit_are_errors() {
    let ops = Eager::new();
    let x = Var::new(&ops, tensor(&[1.0; 6]).reshape((2, 3)).unwrap());
    assert!(x.reshape([Extent::Exact(4), Extent::Infer]).is_err());
    assert!(x.squeeze(0).is_err());
    assert!(x.sum(2).is_err());
    assert!(x.sum(D::Minus(3)).is_err());
    assert!(x.narrow(1, 2, 2).is_err());
    assert!(Var::cat(&[&x, &x.t().unwrap()], 0).is_err());
    assert!(Var::<Eager>::cat(&[], 0).is_err());
}

#[test]
fn constants_state_their_shape() {
    assert!(Constant::float("c", &[2, 2], vec![0.0; 3]).is_err());
    assert!(Constant::int("c", &[3], vec![0; 3]).is_ok());
}

#[test]
fn a_custom_operator_returns_as_many_outputs_as_it_states() {
    let op = CustomOp::new(
        "",
        "Two",
        1,
        [OutputFact::Like(0), OutputFact::Like(0)],
        |x| Ok(vec![x[0].clone()]),
    );
    let error = Eager::new().custom(&op, &[&tensor(&[1.0])]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "custom operator Two: 2 outputs are stated, the eager function returned 1"
    );
}

#[test]
fn norms_without_bias_only_scale() {
    let ops = Eager::new();
    let weight = Param::new("norm.weight", tensor(&[2.0, 2.0]));
    let x = tensor(&[3.0, 4.0]).reshape((1, 2)).unwrap();
    let found = flat(&ops.rms_norm(&x, &weight, 0.0).unwrap());
    let root = 12.5_f32.sqrt();
    for (found, expected) in found.iter().zip([6.0 / root, 8.0 / root]) {
        assert!((found - expected).abs() < 1e-6, "{found} {expected}");
    }
    let found = flat(&ops.layer_norm(&x, &weight, None, 0.0).unwrap());
    assert_eq!(found, [-2.0, 2.0]);
}
