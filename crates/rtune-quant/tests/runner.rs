//! Calibration of a tiny model with token ids and a mask, through ONNX Runtime. Skipped where the
//! runtime's library is not installed.
//!
//! `token_model.onnx` is [`Plan::tapped`] of [`token_model`]; `tests/quantization.rs` of the
//! workspace, which can encode models, checks that.

#![expect(clippy::unwrap_used, reason = "tests")]

mod token_model;

use proptest::prelude::*;
use rtune_interrupt::Interrupt;
use rtune_quant::{
    Batch, Calibrator, Plan, QuantError, Quantizable, RangeMethod, Ranges, Settings, Values,
};
use rtune_runtime::{Runtime, Session, SessionOptions};
use std::sync::LazyLock;
use token_model::{PADDING, token_model};

static TAPPED: &[u8] = include_bytes!("token_model/token_model.onnx");

static RUNTIME: LazyLock<Option<Runtime>> = LazyLock::new(|| {
    let library = rtune_testkit::runtime_library();
    library.is_file().then(|| Runtime::load(&library).unwrap())
});

fn session() -> Option<Session> {
    let runtime = RUNTIME.as_ref()?;
    Some(
        runtime
            .open_bytes(TAPPED, &SessionOptions::default())
            .unwrap(),
    )
}

/// Texts padded to the longest.
fn batch(texts: &[Vec<i64>]) -> Batch {
    let longest = texts.iter().map(Vec::len).max().unwrap();
    let (mut ids, mut mask) = (Vec::new(), Vec::new());
    for text in texts {
        let padding = longest - text.len();
        ids.extend(
            text.iter()
                .copied()
                .chain(std::iter::repeat_n(PADDING, padding)),
        );
        mask.extend(std::iter::repeat_n(1, text.len()).chain(std::iter::repeat_n(0, padding)));
    }
    let dims = [texts.len(), longest];
    Batch::new(texts.len())
        .tensor("input_ids", dims, Values::I64(ids))
        .tensor("attention_mask", dims, Values::I64(mask))
}

fn calibrated(batches: Vec<Batch>, method: RangeMethod) -> Option<Ranges> {
    let mut session = session()?;
    let source = Quantizable::new(&token_model()).unwrap();
    let plan = Plan::new(&source, Settings::default()).unwrap();
    let mut calibrator = Calibrator::new(&plan);
    let samples: usize = batches.iter().map(Batch::samples).sum();
    let mut seen = Vec::new();
    calibrator
        .run(
            &mut session,
            batches.into_iter().map(Ok),
            &Interrupt::new(),
            |n| seen.push(n),
        )
        .unwrap();
    assert_eq!(
        (calibrator.samples(), seen.last()),
        (samples, Some(&samples))
    );
    Some(calibrator.ranges(method).unwrap())
}

#[test]
fn padding_is_left_out_of_tensors_with_one_row_per_token() {
    let texts = [vec![1, 2, 3], vec![5]];
    let Some(ranges) = calibrated(vec![batch(&texts)], RangeMethod::MinMax) else {
        return;
    };
    // Row i of the table is (i, −i); the largest token is 5, padding is 9.
    assert_eq!(ranges["flat"], (-5.0, 5.0));
    // One row per text: the mean over its tokens and its padding, (5 + 9 + 9) / 3.
    let (low, high) = ranges["pooled"];
    assert!(
        (high - 23.0 / 3.0).abs() < 1e-5 && (low + 23.0 / 3.0).abs() < 1e-5,
        "{ranges:?}"
    );
}

#[test]
fn without_a_mask_all_rows_count() {
    // A file of a foreign model may lack the mask in this form; here it is float.
    let Some(mut session) = session() else { return };
    let source = Quantizable::new(&token_model()).unwrap();
    let plan = Plan::new(&source, Settings::default()).unwrap();
    let mut calibrator = Calibrator::new(&plan);
    let ids = Values::I64(vec![1, PADDING]);
    let batch = Batch::new(1).tensor("input_ids", [1, 2], ids);
    // The runtime refuses the run: an input is missing.
    let error = calibrator.observe(&mut session, &batch).unwrap_err();
    assert!(error.to_string().contains("attention_mask"), "{error}");
    let mask = Values::I64(vec![1, 1]);
    calibrator
        .observe(&mut session, &batch.tensor("attention_mask", [1, 2], mask))
        .unwrap();
    let ranges = calibrator.ranges(RangeMethod::MinMax).unwrap();
    assert_eq!(ranges["flat"], (-9.0, 9.0));
}

#[test]
fn an_interrupt_stops_between_two_batches() {
    let Some(mut session) = session() else { return };
    let source = Quantizable::new(&token_model()).unwrap();
    let plan = Plan::new(&source, Settings::default()).unwrap();
    let mut calibrator = Calibrator::new(&plan);
    let batches = std::iter::repeat_with(|| Ok(batch(&[vec![1, 2]])));
    let error = calibrator.run(&mut session, batches, &Interrupt::after(3), |_| {});
    assert!(
        matches!(error, Err(QuantError::Interrupted(_))),
        "{error:?}"
    );
    assert_eq!(calibrator.samples(), 3);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn ranges_of_tokens_do_not_depend_on_order_or_batches(
        texts in proptest::collection::vec(proptest::collection::vec(0_i64..8, 1..6), 1..12),
        size in 1_usize..5,
    ) {
        for method in RangeMethod::ALL {
            let alone = texts.iter().map(|text| batch(std::slice::from_ref(text))).collect();
            let Some(alone) = calibrated(alone, method) else { return Ok(()) };
            let mut reversed = texts.clone();
            reversed.reverse();
            let batches = reversed.chunks(size).map(batch).collect();
            let Some(together) = calibrated(batches, method) else { return Ok(()) };
            prop_assert_eq!(alone["flat"], together["flat"], "{}", method);
        }
    }
}
