//! The formula of each kernel as a plain loop in double precision: slow, and easy to check by eye.
//!
//! Kernels of any device are tested against these. Slices must have fitting lengths.

/// Returns the error function, by its series and by its continued fraction.
fn erf(x: f64) -> f64 {
    if x.abs() > 3.0 {
        // erfc(x) = e^(−x²) / √π · 1 / (x + (1/2) / (x + 1 / (x + (3/2) / (x + …))))
        let z = x.abs();
        let fraction = (1..60)
            .rev()
            .fold(z, |tail, n| z + f64::from(n) / 2.0 / tail);
        let rest = (-z * z).exp() / (std::f64::consts::PI.sqrt() * fraction);
        return (1.0 - rest).copysign(x);
    }
    let (mut term, mut sum) = (x, x);
    for n in 1..80 {
        term *= -x * x / f64::from(n);
        sum += term / f64::from(2 * n + 1);
    }
    sum * std::f64::consts::FRAC_2_SQRT_PI
}

/// Returns x · Φ(x).
pub fn gelu(x: f64) -> f64 {
    0.5 * x * (1.0 + erf(x * std::f64::consts::FRAC_1_SQRT_2))
}

/// Returns the slope of [`gelu`]: Φ(x) + x · φ(x).
pub fn gelu_slope(x: f64) -> f64 {
    let density = (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt();
    0.5 * (1.0 + erf(x * std::f64::consts::FRAC_1_SQRT_2)) + x * density
}

/// Returns a · b.
///
/// # Shapes
/// a `[m, k]`, b `[k, n]` → `[m, n]`
pub fn matmul(a: &[f64], b: &[f64], [m, k, n]: [usize; 3]) -> Vec<f64> {
    let mut output = vec![0.0; m * n];
    for row in 0..m {
        for column in 0..n {
            for inner in 0..k {
                output[row * n + column] += a[row * k + inner] * b[inner * n + column];
            }
        }
    }
    output
}

/// Returns a matrix with rows and columns swapped.
///
/// # Shapes
/// x `[rows, columns]` → `[columns, rows]`
pub fn transpose(x: &[f64], rows: usize, columns: usize) -> Vec<f64> {
    let places = (0..columns).flat_map(|column| (0..rows).map(move |row| row * columns + column));
    places.map(|place| x[place]).collect()
}

/// Returns e^x / Σ e^x of each row.
///
/// # Shapes
/// x `[rows, width]` → the same
pub fn softmax(x: &[f64], width: usize) -> Vec<f64> {
    let mut output = Vec::with_capacity(x.len());
    for row in x.chunks(width) {
        let largest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = row.iter().map(|x| (x - largest).exp()).sum();
        output.extend(row.iter().map(|x| (x - largest).exp() / sum));
    }
    output
}

/// Returns the gradient of [`softmax`] from its output: y · (g − Σ g · y).
///
/// # Shapes
/// y and gradient `[rows, width]` → the same
pub fn softmax_backward(y: &[f64], gradient: &[f64], width: usize) -> Vec<f64> {
    let mut output = Vec::with_capacity(y.len());
    for (y, g) in y.chunks(width).zip(gradient.chunks(width)) {
        let dot: f64 = y.iter().zip(g).map(|(y, g)| y * g).sum();
        output.extend(y.iter().zip(g).map(|(y, g)| y * (g - dot)));
    }
    output
}

/// Returns n = (x − mean) / √(variance + epsilon) of a row, and the divisor.
fn normalize(row: &[f64], epsilon: f64) -> (Vec<f64>, f64) {
    let count = row.len() as f64;
    let mean = row.iter().sum::<f64>() / count;
    let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count;
    let deviation = (variance + epsilon).sqrt();
    (
        row.iter().map(|x| (x - mean) / deviation).collect(),
        deviation,
    )
}

/// Returns n · weight + bias of each row, with n = (x − mean) / √(variance + epsilon).
///
/// # Shapes
/// x `[rows, width]`, weight and bias `[width]` → `[rows, width]`
pub fn layer_norm(x: &[f64], weight: &[f64], bias: &[f64], epsilon: f64) -> Vec<f64> {
    let mut output = Vec::with_capacity(x.len());
    for row in x.chunks(weight.len()) {
        let (normal, _) = normalize(row, epsilon);
        let affine = weight.iter().zip(bias);
        output.extend(
            normal
                .iter()
                .zip(affine)
                .map(|(n, (weight, bias))| n * weight + bias),
        );
    }
    output
}

/// Returns the gradients of [`layer_norm`] by x, weight and bias.
///
/// # Shapes
/// x and gradient `[rows, width]`, weight `[width]` → `[rows, width]`, `[width]`, `[width]`
pub fn layer_norm_backward(
    x: &[f64],
    weight: &[f64],
    gradient: &[f64],
    epsilon: f64,
) -> [Vec<f64>; 3] {
    let width = weight.len();
    let mut x_gradient = Vec::with_capacity(x.len());
    let (mut weight_gradient, mut bias_gradient) = (vec![0.0; width], vec![0.0; width]);
    for (row, g) in x.chunks(width).zip(gradient.chunks(width)) {
        let (normal, deviation) = normalize(row, epsilon);
        let h: Vec<f64> = g.iter().zip(weight).map(|(g, weight)| g * weight).collect();
        let h_mean = h.iter().sum::<f64>() / width as f64;
        let hn_mean = h.iter().zip(&normal).map(|(h, n)| h * n).sum::<f64>() / width as f64;
        for index in 0..width {
            x_gradient.push((h[index] - h_mean - normal[index] * hn_mean) / deviation);
            weight_gradient[index] += g[index] * normal[index];
            bias_gradient[index] += g[index];
        }
    }
    [x_gradient, weight_gradient, bias_gradient]
}

/// Returns softmax(scale · q · kᵀ + bias) ∘ mask · v of one head of one sequence, and the weights
/// before the mask.
///
/// # Shapes
/// q, k and v `[length, head_dim]`, bias `[length]`, mask `[length, length]` →
/// `[length, head_dim]`, `[length, length]`
pub fn attention(
    [q, k, v]: [&[f64]; 3],
    [length, head_dim]: [usize; 2],
    scale: f64,
    bias: &[f64],
    mask: &[f64],
) -> [Vec<f64>; 2] {
    let keys = transpose(k, length, head_dim);
    let mut scores = matmul(q, &keys, [length, head_dim, length]);
    for row in scores.chunks_mut(length) {
        row.iter_mut()
            .zip(bias)
            .for_each(|(score, bias)| *score = *score * scale + bias);
    }
    let weights = softmax(&scores, length);
    let kept: Vec<f64> = weights
        .iter()
        .zip(mask)
        .map(|(weight, mask)| weight * mask)
        .collect();
    [matmul(&kept, v, [length, length, head_dim]), weights]
}

/// Returns the gradients of [`attention`] by q, k and v.
///
/// # Shapes
/// q, k, v and gradient `[length, head_dim]`, weights and mask `[length, length]` →
/// `[length, head_dim]` each
pub fn attention_backward(
    [q, k, v]: [&[f64]; 3],
    [length, head_dim]: [usize; 2],
    scale: f64,
    weights: &[f64],
    mask: &[f64],
    gradient: &[f64],
) -> [Vec<f64>; 3] {
    let kept: Vec<f64> = weights
        .iter()
        .zip(mask)
        .map(|(weight, mask)| weight * mask)
        .collect();
    let v_gradient = matmul(
        &transpose(&kept, length, length),
        gradient,
        [length, length, head_dim],
    );
    let values = transpose(v, length, head_dim);
    let mut by_weights = matmul(gradient, &values, [length, head_dim, length]);
    by_weights
        .iter_mut()
        .zip(mask)
        .for_each(|(gradient, mask)| *gradient *= mask);
    let mut scores = softmax_backward(weights, &by_weights, length);
    scores.iter_mut().for_each(|score| *score *= scale);
    let q_gradient = matmul(&scores, k, [length, length, head_dim]);
    let k_gradient = matmul(
        &transpose(&scores, length, length),
        q,
        [length, length, head_dim],
    );
    [q_gradient, k_gradient, v_gradient]
}

/// Returns the sum over rows.
///
/// # Shapes
/// x `[rows, width]` → `[width]`
pub fn column_sum(x: &[f64], width: usize) -> Vec<f64> {
    let mut output = vec![0.0; width];
    for row in x.chunks(width) {
        output
            .iter_mut()
            .zip(row)
            .for_each(|(sum, value)| *sum += value);
    }
    output
}

/// Returns the rows' gradients of a table from the gradients of the places that read them.
///
/// # Shapes
/// ids `[n]`, gradient `[n, width]` → `[rows, width]`
pub fn embedding_backward(ids: &[u32], gradient: &[f64], rows: usize, width: usize) -> Vec<f64> {
    let mut output = vec![0.0; rows * width];
    for (id, gradient) in ids.iter().zip(gradient.chunks(width)) {
        for (column, value) in gradient.iter().enumerate() {
            output[*id as usize * width + column] += value;
        }
    }
    output
}

/// Returns the weight of each token in its sequence's mean: mask / Σ mask, or 0 without tokens.
///
/// # Shapes
/// offsets `[sequences + 1]`, mask `[tokens]` → `[tokens]`
pub fn shares(offsets: &[usize], mask: &[f64]) -> Vec<f64> {
    let mut output = Vec::with_capacity(mask.len());
    for range in offsets.windows(2) {
        let mask = &mask[range[0]..range[1]];
        let count: f64 = mask.iter().sum();
        output.extend(
            mask.iter()
                .map(|mask| if count > 0.0 { mask / count } else { 0.0 }),
        );
    }
    output
}
