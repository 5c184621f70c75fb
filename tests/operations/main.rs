//! The operation suite: each operation on random shapes, one line for each case.
//!
//! Eager agrees with the default bodies (`Plain`), with the tape's forward, with the recorded graph
//! in the runtime at two optimization levels, and over packed tokens. The tape's gradients agree
//! with finite differences, with those of the default bodies, and between padded and packed tokens.

#![expect(
    clippy::unwrap_used,
    reason = "a failure of a helper is the test's failure"
)]

mod activation;
mod attention;
mod binary;
mod case;
mod check;
mod compare;
mod custom;
mod dropout;
mod index;
mod layout;
mod linear;
mod names;
mod norm;
mod reduce;
mod sequence;
mod unary;
