use crate::case::{Shapes, cases, size};
use rand_chacha::ChaCha8Rng;
use rtune_nn::{Positions, Rotary, RotaryStyle, Var};

fn hidden(r: &mut ChaCha8Rng) -> Shapes {
    Shapes::tokens([size(r)])
}

/// Heads 2 of width 4.
fn heads(_: &mut ChaCha8Rng) -> Shapes {
    Shapes::tokens([8])
}

fn table(r: &mut ChaCha8Rng) -> Shapes {
    Shapes::tokens([]).params([&[8, size(r)]])
}

const HALVES: Rotary = Rotary::new(4, 100.0);

cases! {
    mean_pool: hidden, |x, p, s| x[0].mean_pool(s);
    first_pool: hidden, |x, p, s| x[0].first_pool(s);
    split_and_merge_heads: heads, |x, p, s| {
        x[0].split_heads(2, 4, s)?.sqr()?.merge_heads(2, 4, s)
    };
    mask_bias: heads, |ops, x, p, s| {
        let split = x[0].split_heads(2, 4, s)?;
        let mask = Var::new(ops, ops.mask_bias(s)?);
        (split.matmul(&split.t()?)? + mask)?.softmax()?.matmul(&split)?.merge_heads(2, 4, s)
    };
    positions_after_padding: table, |ops, x, p, s| {
        let ids = Var::new(ops, ops.position_ids(Positions::AfterPadding(1), s)?);
        ids.param(&p[0])?.gather(&ids)
    };
    grid_positions: heads, |ops, x, p, s| {
        let positions = Var::new(ops, ops.grid_positions(s)?);
        (x[0].split_heads(2, 4, s)? * positions)?.merge_heads(2, 4, s)
    };
    rotate_halves: heads, |x, p, s| {
        x[0].split_heads(2, 4, s)?.rotate(4, &HALVES, s)?.merge_heads(2, 4, s)
    };
    rotate_pairs: heads, |x, p, s| {
        let pairs = Rotary { style: RotaryStyle::Pairs, ..HALVES };
        x[0].split_heads(2, 4, s)?.rotate(4, &pairs, s)?.merge_heads(2, 4, s)
    };
    rotate_a_part: heads, |x, p, s| {
        let part = Rotary { dim: 2, ..HALVES };
        x[0].split_heads(2, 4, s)?.rotate(4, &part, s)?.merge_heads(2, 4, s)
    };
}
