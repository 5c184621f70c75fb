use crate::{Array, Gradients, cuda};
use rtune_nn::Result;

/// Returns the norm over all gradients, and the factor that brings it down to `max_norm` if it is
/// larger. A `max_norm` of 0 disables clipping.
///
/// # Errors
/// If a tensor operation fails.
pub fn clip_global_norm(gradients: &Gradients, max_norm: f64) -> Result<(f64, f64)> {
    let arrays: Vec<&Array> = gradients.values().collect();
    let squares = match cuda::square_sums(&arrays)? {
        Some(squares) => squares,
        None => {
            let squares = arrays.iter().map(|gradient| gradient.square_sum());
            squares.collect::<Result<_>>()?
        }
    };
    let norm = squares.iter().sum::<f64>().sqrt();
    // The small addend is PyTorch's, so that both clip alike.
    let factor = if max_norm > 0.0 {
        (max_norm / (norm + 1e-6)).min(1.0)
    } else {
        1.0
    };
    Ok((norm, factor))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Array;
    use candle_core::{Device, Tensor};

    #[test]
    fn gradients_are_scaled_down_to_the_norm_and_never_up() {
        let tensor = |values: &[f32]| Array::from(Tensor::new(values, &Device::Cpu).unwrap());
        let gradients = Gradients::from([
            ("a".to_owned(), tensor(&[3.0])),
            ("b".to_owned(), tensor(&[0.0, 4.0])),
        ]);
        for (max_norm, expected) in [(1.0, 0.2), (10.0, 1.0), (0.0, 1.0)] {
            let (norm, factor) = clip_global_norm(&gradients, max_norm).unwrap();
            assert!((norm - 5.0).abs() < 1e-9);
            assert!((factor - expected).abs() < 1e-6, "{max_norm}: {factor}");
        }
    }
}
