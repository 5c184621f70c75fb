use crate::{MASK_BIAS, NnError, Positions, Result};
use candle_core::{D, Device, Tensor};

/// The token layout of one batch of candle tensors: padded to a grid, or packed.
#[derive(Debug, Clone)]
pub struct TokenSequences {
    batch: usize,
    sequence: usize,
    /// `[tokens..]`: the place of each token, from 0.
    places: Tensor,
    /// `[tokens..]`: the number of tokens up to and including this one; 0 for padding.
    counts: Tensor,
    /// `[batch, sequence]`: 1 for tokens, 0 for padding.
    mask: Tensor,
    /// `[batch, 1, 1, sequence]`
    mask_bias: Tensor,
    packing: Option<Packing>,
}

/// The way from packed tokens to the padded grid and back.
#[derive(Debug, Clone)]
struct Packing {
    /// `[tokens]`: each token's slot in `[batch · sequence]`.
    slots: Tensor,
    /// `[batch · sequence]`: each slot's token; slots of padding name token 0, which the mask
    /// hides.
    tokens: Tensor,
    /// `[batch]`: each sequence's first token.
    first: Tensor,
    /// Number of tokens of each sequence.
    lengths: Vec<usize>,
}

impl TokenSequences {
    /// Tokens padded to a grid.
    ///
    /// # Shapes
    /// `mask`: `[batch · sequence]`, row by row; 1 for a token, 0 for padding.
    ///
    /// # Errors
    /// If the mask's length is not `batch · sequence`.
    pub fn padded(mask: &[u8], batch: usize, sequence: usize, device: &Device) -> Result<Self> {
        if mask.len() != batch * sequence {
            return Err(NnError::operation(format!(
                "a mask of {} elements for {batch} sequences of {sequence}",
                mask.len()
            )));
        }
        let places: Vec<u32> = (0..batch).flat_map(|_| (0_u32..).take(sequence)).collect();
        let counts = (0..batch)
            .flat_map(|row| {
                let row = &mask[row * sequence..][..sequence];
                row.iter().scan(0, |count, token| {
                    *count += u32::from(*token);
                    Some(*count * u32::from(*token))
                })
            })
            .collect();
        let numbers = [places, counts];
        Self::new(
            mask,
            [batch, sequence],
            &[batch, sequence],
            numbers,
            None,
            device,
        )
    }

    /// Tokens one sequence after the other.
    ///
    /// # Shapes
    /// `offsets`: `[batch + 1]`, from 0 to the number of tokens.
    ///
    /// # Errors
    /// If the offsets are empty or descend.
    pub fn packed(offsets: &[u32], device: &Device) -> Result<Self> {
        let lengths: Option<Vec<usize>> = offsets
            .windows(2)
            .map(|pair| pair[1].checked_sub(pair[0]).map(|length| length as usize))
            .collect();
        let (Some(lengths), Some((_, starts))) = (lengths, offsets.split_last()) else {
            return Err(NnError::operation(format!(
                "offsets {offsets:?} of packed sequences: ascending numbers are needed"
            )));
        };
        let batch = lengths.len();
        let sequence = lengths.iter().copied().max().unwrap_or_default();
        let mut mask = vec![0_u8; batch * sequence];
        let mut tokens = vec![0_u32; batch * sequence];
        let (mut slots, mut places) = (Vec::new(), Vec::new());
        for (row, (length, start)) in lengths.iter().zip(starts).enumerate() {
            for place in 0..*length {
                let slot = row * sequence + place;
                mask[slot] = 1;
                tokens[slot] = start + place as u32;
                slots.push(slot as u32);
                places.push(place as u32);
            }
        }
        let total = slots.len();
        let packing = Packing {
            slots: Tensor::from_vec(slots, total, device)?,
            tokens: Tensor::from_vec(tokens, batch * sequence, device)?,
            first: Tensor::from_slice(starts, batch, device)?,
            lengths,
        };
        let counts = places.iter().map(|place| place + 1).collect();
        let numbers = [places, counts];
        Self::new(
            &mask,
            [batch, sequence],
            &[total],
            numbers,
            Some(packing),
            device,
        )
    }

    fn new(
        mask: &[u8],
        [batch, sequence]: [usize; 2],
        tokens: &[usize],
        numbers: [Vec<u32>; 2],
        packing: Option<Packing>,
        device: &Device,
    ) -> Result<Self> {
        let mask: Vec<f32> = mask.iter().map(|m| f32::from(*m)).collect();
        let mask = Tensor::from_vec(mask, (batch, sequence), device)?;
        let mask_bias = mask
            .affine(-MASK_BIAS, MASK_BIAS)?
            .reshape((batch, 1, 1, sequence))?;
        let [places, counts] = numbers.map(|numbers| Tensor::from_vec(numbers, tokens, device));
        Ok(Self {
            batch,
            sequence,
            places: places?,
            counts: counts?,
            mask,
            mask_bias,
            packing,
        })
    }

    /// The number of sequences and the length of the longest.
    pub fn grid(&self) -> [usize; 2] {
        [self.batch, self.sequence]
    }

    /// The number of tokens of each sequence, if the tokens are packed.
    pub fn packed_lengths(&self) -> Option<&[usize]> {
        self.packing.as_ref().map(|packing| &*packing.lengths)
    }

    /// The mask `[batch, sequence]`: 1 for tokens, 0 for padding.
    pub fn mask(&self) -> &Tensor {
        &self.mask
    }

    /// See [`SequenceOps::position_ids`](crate::SequenceOps::position_ids).
    ///
    /// # Errors
    /// If a tensor operation fails.
    pub fn position_ids(&self, positions: Positions) -> Result<Tensor> {
        match positions {
            Positions::FromZero => Ok(self.places.clone()),
            Positions::AfterPadding(padding) => {
                let padding = Tensor::new(padding, self.counts.device())?;
                Ok(self.counts.broadcast_add(&padding)?)
            }
        }
    }

    /// See [`SequenceOps::grid_positions`](crate::SequenceOps::grid_positions).
    ///
    /// # Errors
    /// If a tensor operation fails.
    pub fn grid_positions(&self) -> Result<Tensor> {
        let positions: Vec<f32> = (0..self.sequence).map(|place| place as f32).collect();
        let shape = (self.sequence, 1);
        Ok(Tensor::from_vec(positions, shape, self.mask.device())?)
    }

    /// See [`SequenceOps::mask_bias`](crate::SequenceOps::mask_bias).
    pub fn mask_bias(&self) -> &Tensor {
        &self.mask_bias
    }

    /// See [`SequenceOps::split_heads`](crate::SequenceOps::split_heads).
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub fn split_heads(&self, x: &Tensor, heads: usize, head_dim: usize) -> Result<Tensor> {
        let grid = (self.batch, self.sequence, heads, head_dim);
        let x = self.enter_grid(x)?.reshape(grid)?;
        Ok(x.transpose(1, 2)?.contiguous()?)
    }

    /// See [`SequenceOps::merge_heads`](crate::SequenceOps::merge_heads).
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub fn merge_heads(&self, x: &Tensor, heads: usize, head_dim: usize) -> Result<Tensor> {
        let grid = (self.batch, self.sequence, heads * head_dim);
        self.leave_grid(&x.transpose(1, 2)?.contiguous()?.reshape(grid)?)
    }

    /// The gradient of [`TokenSequences::split_heads`]: as merging. The gradient of padding slots
    /// is dropped, although the forward pass filled them with token 0: the mask gives padding no
    /// weight in attention, so that part is zero.
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub fn split_heads_backward(
        &self,
        gradient: &Tensor,
        heads: usize,
        head_dim: usize,
    ) -> Result<Tensor> {
        self.merge_heads(gradient, heads, head_dim)
    }

    /// The gradient of [`TokenSequences::merge_heads`]: as splitting, with zeros for padding.
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub fn merge_heads_backward(
        &self,
        gradient: &Tensor,
        heads: usize,
        head_dim: usize,
    ) -> Result<Tensor> {
        let split = self.split_heads(gradient, heads, head_dim)?;
        if self.packing.is_none() {
            return Ok(split);
        }
        let mask = self.mask.reshape((self.batch, 1, self.sequence, 1))?;
        Ok(split.broadcast_mul(&mask)?)
    }

    /// `[tokens.., width]` → `[batch, sequence, width]`.
    fn enter_grid(&self, x: &Tensor) -> Result<Tensor> {
        let Some(packing) = &self.packing else {
            return Ok(x.clone());
        };
        let grid = (self.batch, self.sequence, x.dim(D::Minus1)?);
        Ok(x.index_select(&packing.tokens, 0)?.reshape(grid)?)
    }

    /// `[batch, sequence, width]` → `[tokens.., width]`.
    fn leave_grid(&self, x: &Tensor) -> Result<Tensor> {
        let Some(packing) = &self.packing else {
            return Ok(x.clone());
        };
        let flat = x.reshape((self.batch * self.sequence, x.dim(D::Minus1)?))?;
        Ok(flat.index_select(&packing.slots, 0)?)
    }

    /// `[batch, 1, sequence]`: each token's share of its sequence's mean, 0 for padding.
    fn shares(&self) -> Result<Tensor> {
        let counts = self.mask.sum_keepdim(1)?.maximum(1.0)?;
        Ok(self.mask.broadcast_div(&counts)?.unsqueeze(1)?)
    }

    /// See [`SequenceOps::mean_pool`](crate::SequenceOps::mean_pool).
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub fn mean_pool(&self, hidden: &Tensor) -> Result<Tensor> {
        let mean = self.shares()?.matmul(&self.enter_grid(hidden)?)?;
        Ok(mean.squeeze(1)?)
    }

    /// The gradient of [`TokenSequences::mean_pool`].
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub fn mean_pool_backward(&self, gradient: &Tensor) -> Result<Tensor> {
        let shares = self.shares()?.transpose(1, 2)?.contiguous()?;
        self.leave_grid(&shares.broadcast_mul(&gradient.unsqueeze(1)?)?)
    }

    /// See [`SequenceOps::first_pool`](crate::SequenceOps::first_pool).
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub fn first_pool(&self, hidden: &Tensor) -> Result<Tensor> {
        match &self.packing {
            None => Ok(hidden.narrow(1, 0, 1)?.squeeze(1)?.contiguous()?),
            Some(packing) => Ok(hidden.index_select(&packing.first, 0)?),
        }
    }

    /// The gradient of [`TokenSequences::first_pool`]; `like` is the input of the forward pass.
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub fn first_pool_backward(&self, gradient: &Tensor, like: &Tensor) -> Result<Tensor> {
        let zeros = like.zeros_like()?;
        if let Some(packing) = &self.packing {
            return Ok(zeros.index_add(&packing.first, gradient, 0)?);
        }
        let rest = zeros.narrow(1, 1, self.sequence - 1)?;
        Ok(Tensor::cat(&[&gradient.unsqueeze(1)?, &rest], 1)?)
    }
}
