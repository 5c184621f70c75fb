//! Weight decay by the role of a parameter, learning rate by its group.

use rtune_nn::{ParamGroup, ParamRole};

/// The learning rates of one step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LearningRates {
    /// The rate of embeddings and encoder layers.
    pub encoder: f64,
    /// The rate of the head.
    pub head: f64,
}

impl LearningRates {
    /// The same rates, each multiplied by `factor`.
    pub fn scaled(self, factor: f64) -> Self {
        Self {
            encoder: self.encoder * factor,
            head: self.head * factor,
        }
    }

    /// The rate of a group.
    pub fn of(self, group: ParamGroup) -> f64 {
        match group {
            ParamGroup::Head => self.head,
            ParamGroup::Embeddings | ParamGroup::Layer(_) => self.encoder,
        }
    }
}

/// Returns whether weight decay applies to parameters of a role.
pub fn decays(role: ParamRole) -> bool {
    match role {
        ParamRole::Weight | ParamRole::Embedding => true,
        ParamRole::Bias | ParamRole::Norm | ParamRole::Cutpoints => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_weights_and_embeddings_decay() {
        for (role, expected) in [
            (ParamRole::Weight, true),
            (ParamRole::Embedding, true),
            (ParamRole::Bias, false),
            (ParamRole::Norm, false),
            (ParamRole::Cutpoints, false),
        ] {
            assert_eq!(decays(role), expected, "{role:?}");
        }
    }

    #[test]
    fn only_the_head_has_its_rate() {
        let rates = LearningRates {
            encoder: 1.0,
            head: 10.0,
        };
        let rates = rates.scaled(0.5);
        let groups = [
            ParamGroup::Embeddings,
            ParamGroup::Layer(3),
            ParamGroup::Head,
        ];
        assert_eq!(groups.map(|group| rates.of(group)), [0.5, 0.5, 5.0]);
    }
}
