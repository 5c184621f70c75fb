use crate::{AttentionSpec, MASK_BIAS, Result};
use candle_core::{D, Device, Tensor};

/// How the tokens of one batch lie in candle tensors.
#[derive(Debug, Clone)]
pub struct TokenSequences {
    batch: usize,
    sequence: usize,
    positions: Tensor,
    mask: Tensor,
    mask_bias: Tensor,
    packing: Option<Packing>,
}

/// Where packed tokens stand in the padded grid, and the other way round.
#[derive(Debug, Clone)]
struct Packing {
    /// `[tokens]`: each token's slot in `[batch · sequence]`.
    slots: Tensor,
    /// `[batch · sequence]`: each slot's token; slots of padding name token 0, which the mask
    /// hides.
    tokens: Tensor,
    /// `[batch]`: each sequence's first token.
    first: Tensor,
}

impl TokenSequences {
    /// Tokens padded to a grid.
    ///
    /// # Shapes
    /// `mask`: `[batch · sequence]`, row by row; 1 for a token, 0 for padding.
    ///
    /// # Errors
    /// Where the mask's length is not `batch · sequence`.
    pub fn padded(mask: &[u8], batch: usize, sequence: usize, device: &Device) -> Result<Self> {
        let positions: Vec<u32> = (0..batch).flat_map(|_| (0_u32..).take(sequence)).collect();
        let positions = Tensor::from_vec(positions, (batch, sequence), device)?;
        Self::new(mask, batch, sequence, positions, None, device)
    }

    /// Tokens one sequence after the other.
    ///
    /// # Shapes
    /// `offsets`: `[batch + 1]`, from 0 to the number of tokens.
    ///
    /// # Errors
    /// Where a tensor cannot be made.
    pub fn packed(offsets: &[u32], device: &Device) -> Result<Self> {
        let lengths: Vec<usize> = offsets
            .windows(2)
            .map(|pair| (pair[1] - pair[0]) as usize)
            .collect();
        let (batch, sequence) = (lengths.len(), lengths.iter().copied().max().unwrap_or(0));
        let mut mask = vec![0_u8; batch * sequence];
        let mut tokens = vec![0_u32; batch * sequence];
        let (mut slots, mut positions) = (Vec::new(), Vec::new());
        for (row, (length, start)) in lengths.iter().zip(offsets).enumerate() {
            for place in 0..*length {
                let slot = row * sequence + place;
                mask[slot] = 1;
                tokens[slot] = start + as_u32(place);
                slots.push(as_u32(slot));
                positions.push(as_u32(place));
            }
        }
        let total = slots.len();
        let packing = Packing {
            slots: Tensor::from_vec(slots, total, device)?,
            tokens: Tensor::from_vec(tokens, batch * sequence, device)?,
            first: Tensor::from_slice(&offsets[..batch], batch, device)?,
        };
        let positions = Tensor::from_vec(positions, total, device)?;
        Self::new(&mask, batch, sequence, positions, Some(packing), device)
    }

    fn new(
        mask: &[u8],
        batch: usize,
        sequence: usize,
        positions: Tensor,
        packing: Option<Packing>,
        device: &Device,
    ) -> Result<Self> {
        let mask: Vec<f32> = mask.iter().map(|m| f32::from(*m)).collect();
        let mask = Tensor::from_vec(mask, (batch, sequence), device)?;
        let mask_bias = mask
            .affine(-MASK_BIAS, MASK_BIAS)?
            .reshape((batch, 1, 1, sequence))?;
        Ok(Self {
            batch,
            sequence,
            positions,
            mask,
            mask_bias,
            packing,
        })
    }

    /// Each token's place in its sequence.
    pub fn positions(&self) -> &Tensor {
        &self.positions
    }

    /// See [`crate::Ops::mask_bias`].
    pub fn mask_bias(&self) -> &Tensor {
        &self.mask_bias
    }

    /// See [`crate::Ops::split_heads`].
    ///
    /// # Errors
    /// Where the shapes do not fit.
    pub fn split_heads(&self, x: &Tensor, spec: &AttentionSpec) -> Result<Tensor> {
        let grid = (self.batch, self.sequence, spec.heads, spec.head_dim);
        Ok(self
            .enter_grid(x)?
            .reshape(grid)?
            .transpose(1, 2)?
            .contiguous()?)
    }

    /// See [`crate::Ops::merge_heads`].
    ///
    /// # Errors
    /// Where the shapes do not fit.
    pub fn merge_heads(&self, x: &Tensor, spec: &AttentionSpec) -> Result<Tensor> {
        let width = spec.heads * spec.head_dim;
        self.leave_grid(&x.transpose(1, 2)?.contiguous()?.reshape((
            self.batch,
            self.sequence,
            width,
        ))?)
    }

    /// The gradient of [`TokenSequences::split_heads`]: as merging, but what padding received goes
    /// to token 0, where the forward pass took it from. Attention gives padding no weight, so that
    /// part is zero.
    ///
    /// # Errors
    /// Where the shapes do not fit.
    pub fn split_heads_backward(&self, gradient: &Tensor, spec: &AttentionSpec) -> Result<Tensor> {
        self.merge_heads(gradient, spec)
    }

    /// The gradient of [`TokenSequences::merge_heads`]: as splitting, with zeros for padding.
    ///
    /// # Errors
    /// Where the shapes do not fit.
    pub fn merge_heads_backward(&self, gradient: &Tensor, spec: &AttentionSpec) -> Result<Tensor> {
        let split = self.split_heads(gradient, spec)?;
        match &self.packing {
            None => Ok(split),
            Some(_) => Ok(split.broadcast_mul(&self.mask.reshape((
                self.batch,
                1,
                self.sequence,
                1,
            ))?)?),
        }
    }

    /// `[tokens.., width]` → `[batch, sequence, width]`.
    fn enter_grid(&self, x: &Tensor) -> Result<Tensor> {
        match &self.packing {
            None => Ok(x.clone()),
            Some(packing) => {
                let width = x.dim(D::Minus1)?;
                Ok(x.index_select(&packing.tokens, 0)?.reshape((
                    self.batch,
                    self.sequence,
                    width,
                ))?)
            }
        }
    }

    /// `[batch, sequence, width]` → `[tokens.., width]`.
    fn leave_grid(&self, x: &Tensor) -> Result<Tensor> {
        match &self.packing {
            None => Ok(x.clone()),
            Some(packing) => {
                let width = x.dim(D::Minus1)?;
                Ok(x.reshape((self.batch * self.sequence, width))?
                    .index_select(&packing.slots, 0)?)
            }
        }
    }

    /// `[batch, 1, sequence]`: each token's share of its sequence's mean, 0 for padding.
    fn shares(&self) -> Result<Tensor> {
        let counts = self.mask.sum_keepdim(1)?.maximum(1.0)?;
        Ok(self.mask.broadcast_div(&counts)?.unsqueeze(1)?)
    }

    /// See [`crate::Ops::mean_pool`].
    ///
    /// # Errors
    /// Where the shapes do not fit.
    pub fn mean_pool(&self, hidden: &Tensor) -> Result<Tensor> {
        Ok(self
            .shares()?
            .matmul(&self.enter_grid(hidden)?)?
            .squeeze(1)?)
    }

    /// The gradient of [`TokenSequences::mean_pool`].
    ///
    /// # Errors
    /// Where the shapes do not fit.
    pub fn mean_pool_backward(&self, gradient: &Tensor) -> Result<Tensor> {
        let shares = self.shares()?.transpose(1, 2)?.contiguous()?;
        self.leave_grid(&shares.broadcast_mul(&gradient.unsqueeze(1)?)?)
    }

    /// See [`crate::Ops::first_pool`].
    ///
    /// # Errors
    /// Where the shapes do not fit.
    pub fn first_pool(&self, hidden: &Tensor) -> Result<Tensor> {
        match &self.packing {
            None => Ok(hidden.narrow(1, 0, 1)?.squeeze(1)?.contiguous()?),
            Some(packing) => Ok(hidden.index_select(&packing.first, 0)?),
        }
    }

    /// The gradient of [`TokenSequences::first_pool`]; `like` is the input of the forward pass.
    ///
    /// # Errors
    /// Where the shapes do not fit.
    pub fn first_pool_backward(&self, gradient: &Tensor, like: &Tensor) -> Result<Tensor> {
        let zeros = like.zeros_like()?;
        match &self.packing {
            Some(packing) => Ok(zeros.index_add(&packing.first, gradient, 0)?),
            None => Ok(Tensor::cat(
                &[
                    &gradient.unsqueeze(1)?,
                    &zeros.narrow(1, 1, self.sequence - 1)?,
                ],
                1,
            )?),
        }
    }
}

/// Token counts stay far below 2³².
#[allow(clippy::cast_possible_truncation)]
fn as_u32(index: usize) -> u32 {
    index as u32
}
