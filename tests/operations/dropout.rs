use candle_core::{Device, Tensor};
use rtune_nn::{Ops as _, Param};
use rtune_train::{Tape, TapeValue};

fn flat(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

#[test]
fn dropout_is_seeded_and_unbiased() {
    let x = Tensor::ones((100, 100), candle_core::DType::F32, &Device::Cpu).unwrap();
    // By reference: optimized, rustc 1.95 takes two equal tapes that are moved into one closure for
    // a single one.
    let run = |tape: &Tape| {
        let value = tape.dropout(&TapeValue::constant(x.clone()), 0.1);
        flat(value.unwrap().tensor().unwrap())
    };
    let first = run(&Tape::with_dropout(1, 1));
    let second = run(&Tape::with_dropout(1, 1));
    let differing = first.iter().zip(&second).filter(|(a, b)| a != b).count();
    assert_eq!(differing, 0);
    assert!(first != run(&Tape::with_dropout(1, 2)));
    assert!(first != run(&Tape::with_dropout(2, 1)));
    assert!(flat(&x) == run(&Tape::new()));
    let mean = first.iter().sum::<f32>() / 1e4;
    assert!((mean - 1.0).abs() < 0.02, "{mean}");
    let zeros = first.iter().filter(|v| **v == 0.0).count();
    assert!((800..1200).contains(&zeros), "{zeros}");
    // The gradient of a dropped element is dropped, too.
    let leaf = Param::new("x", x.clone());
    let tape = Tape::with_dropout(1, 1);
    let output = tape.dropout(&tape.param(&leaf).unwrap(), 0.1).unwrap();
    let expected = flat(output.tensor().unwrap());
    assert!(flat(tape.backward(&output).unwrap()["x"].tensor().unwrap()) == expected);
}
