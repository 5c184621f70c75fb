//! Forward and backward loops over plain slices: the arithmetic behind training on a CPU.
//!
//! A kernel reads slices and writes a slice that the caller owns. It allocates no result, keeps no
//! graph and knows no tensor type, so the caller decides where memory comes from.
//!
//! ```
//! use rtune_kernels::cpu;
//!
//! # fn main() -> Result<(), rtune_kernels::KernelError> {
//! let (x, gradient) = ([-1.0_f32, 0.0, 2.0], [1.0_f32; 3]);
//! let (mut y, mut x_gradient) = ([0.0_f32; 3], [0.0_f32; 3]);
//! cpu::gelu(&x, &mut y)?;
//! cpu::gelu_backward(&x, &gradient, &mut x_gradient)?;
//! assert!((y[2] - 1.954_5).abs() < 1e-4);
//! assert!((x_gradient[1] - 0.5).abs() < 1e-6);
//! # Ok(())
//! # }
//! ```
//!
//! Matrices are views with strides, so a transposed operand costs no copy, and a product can add to
//! its output:
//!
//! ```
//! use rtune_kernels::cpu::{self, Matrix, MatrixMut};
//!
//! # fn main() -> Result<(), rtune_kernels::KernelError> {
//! let (a, b, mut c) = ([1.0_f32, 2.0, 3.0, 4.0], [1.0_f32, 0.0, 1.0, 1.0], [10.0_f32; 4]);
//! let a = Matrix::new(&a, 2, 2)?.transposed();
//! cpu::matmul_add(1.0, a, Matrix::new(&b, 2, 2)?, MatrixMut::new(&mut c, 2, 2)?)?;
//! assert_eq!(c, [14.0, 13.0, 16.0, 14.0]);
//! # Ok(())
//! # }
//! ```
//!
//! # Design
//!
//! **The same bytes at any thread count.** Loops run on rayon's pool of the caller, the only pool
//! of the program. Work is cut into pieces whose size depends on the shapes alone, and partial sums
//! are added in the order of the pieces.
//!
//! **The same bytes on any processor**, except for matrix products. Loops are compiled once for
//! each instruction set and picked at run time by `pulp`, without compiler flags. Sums have a fixed
//! number of lanes, and multiplications and additions are not contracted, so that a wider
//! instruction set changes the speed and not the result. Products go through `gemm`, whose
//! microkernels differ by instruction set.
//!
//! **A plain reference of each kernel.** [`mod@reference`] has the formula as a loop in double
//! precision. Each kernel is tested against it, and a kernel for another device would be as well.
//!
//! **Errors, not panics.** A slice whose length does not fit is a [`KernelError`].

pub mod cpu;
pub mod cuda;
mod error;
pub mod reference;
#[cfg(test)]
mod testing;

pub use error::{KernelError, Result};
