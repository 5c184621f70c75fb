use crate::case::{Shapes, cases};
use rand_chacha::ChaCha8Rng;
use rtune_nn::{Attention, Disentangled, PositionBias, Rotary, RotaryStyle};

/// Query, key and value: 2 heads of width 4.
fn qkv(_: &mut ChaCha8Rng) -> Shapes {
    Shapes::tokens([8, 8, 8])
}

/// 4 heads of query, 2 of key and value, width 2.
fn grouped_qkv(_: &mut ChaCha8Rng) -> Shapes {
    Shapes::tokens([8, 4, 4])
}

/// Query, key and value, and a table of 6 buckets for 2 heads.
fn bucketed(_: &mut ChaCha8Rng) -> Shapes {
    Shapes::tokens([8, 8, 8]).params([&[8, 2]])
}

/// Query, key and value, and tables of position keys and queries.
fn relative(_: &mut ChaCha8Rng) -> Shapes {
    Shapes::tokens([8, 8, 8]).params([&[6, 8], &[6, 8]])
}

fn spec() -> Attention {
    Attention::new(2, 4)
}

cases! {
    attention: qkv, |x, p, s| x[0].attention(&x[1], &x[2], &spec(), s);
    scaled: qkv, |x, p, s| {
        x[0].attention(&x[1], &x[2], &Attention { scale: 0.125, ..spec() }, s)
    };
    grouped: grouped_qkv, |x, p, s| {
        x[0].attention(&x[1], &x[2], &Attention { kv_heads: 2, ..Attention::new(4, 2) }, s)
    };
    window: qkv, |x, p, s| {
        x[0].attention(&x[1], &x[2], &Attention { window: Some(1), ..spec() }, s)
    };
    buckets: bucketed, |x, p, s| {
        let bias = PositionBias::Buckets { table: p[0].clone(), buckets: 8, max_distance: 3 };
        x[0].attention(&x[1], &x[2], &Attention { bias: Some(bias), ..spec() }, s)
    };
    slopes: qkv, |x, p, s| {
        let bias = Some(PositionBias::alibi(2));
        x[0].attention(&x[1], &x[2], &Attention { bias, ..spec() }, s)
    };
    rotary: qkv, |x, p, s| {
        let rotary = Rotary { scale: 0.5, ..Rotary::new(4, 100.0) };
        x[0].attention(&x[1], &x[2], &Attention { rotary: Some(rotary), ..spec() }, s)
    };
    rotary_window: qkv, |x, p, s| {
        let rotary = Some(Rotary { style: RotaryStyle::Pairs, ..Rotary::new(4, 100.0) });
        let spec = Attention { rotary, window: Some(2), ..spec() };
        x[0].attention(&x[1], &x[2], &spec, s)
    };
    disentangled: relative, |ops, x, p, s| {
        let positions = Disentangled {
            key: Some(ops.param(&p[0])?),
            query: Some(ops.param(&p[1])?),
            span: 3,
            buckets: Some(4),
            max_distance: 4,
        };
        let [q, k, v] = [0, 1, 2].map(|i: usize| x[i].value());
        let spec = Attention { scale: 1.0 / 12_f64.sqrt(), ..spec() };
        Ok(x[0].with(ops.disentangled_attention(q, k, v, &positions, &spec, s)?))
    };
}
