//! Weight decay by the role of a parameter, learning rate by its group and role.

use rtune_nn::{ParamGroup, ParamRole};

/// The learning rates of one step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LearningRates {
    /// The rate of embeddings and encoder layers.
    pub encoder: f64,
    /// The rate of the head's weight and bias.
    pub head: f64,
    /// The rate of cutpoints.
    pub cutpoints: f64,
}

impl LearningRates {
    /// The same rates, each multiplied by `factor`.
    pub fn scaled(self, factor: f64) -> Self {
        Self {
            encoder: self.encoder * factor,
            head: self.head * factor,
            cutpoints: self.cutpoints * factor,
        }
    }

    /// The rate of a parameter.
    pub fn of(self, group: ParamGroup, role: ParamRole) -> f64 {
        match (group, role) {
            (_, ParamRole::Cutpoints) => self.cutpoints,
            (ParamGroup::Head, _) => self.head,
            (ParamGroup::Embeddings | ParamGroup::Layer(_), _) => self.encoder,
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
    fn head_and_cutpoints_have_rates_of_their_own() {
        let rates = LearningRates {
            encoder: 1.0,
            head: 10.0,
            cutpoints: 100.0,
        };
        let rates = rates.scaled(0.5);
        let parameters = [
            (ParamGroup::Embeddings, ParamRole::Embedding),
            (ParamGroup::Layer(3), ParamRole::Weight),
            (ParamGroup::Head, ParamRole::Weight),
            (ParamGroup::Head, ParamRole::Bias),
            (ParamGroup::Head, ParamRole::Cutpoints),
        ];
        let found = parameters.map(|(group, role)| rates.of(group, role));
        assert_eq!(found, [0.5, 0.5, 5.0, 5.0, 50.0]);
    }
}
