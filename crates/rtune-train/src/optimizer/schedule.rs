/// The course of the learning rate after warmup, by its Hugging Face name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SchedulerType {
    /// Falls in a straight line to 0.
    #[default]
    Linear,
    /// Falls along half a cosine to 0.
    Cosine,
    /// Constant.
    Constant,
}

/// The factor of the learning rate for each step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    kind: SchedulerType,
    warmup: usize,
    total: usize,
}

impl Schedule {
    /// A schedule that rises in a straight line for `warmup` of `total` steps, then follows `kind`.
    pub fn new(kind: SchedulerType, warmup: usize, total: usize) -> Self {
        Self {
            kind,
            warmup: warmup.min(total),
            total,
        }
    }

    /// The factor for `step`, counted from 0. It stays at its last value after `total` steps.
    pub fn factor(&self, step: usize) -> f64 {
        if step < self.warmup {
            return step as f64 / self.warmup as f64;
        }
        let progress = if step < self.total {
            (step - self.warmup) as f64 / (self.total - self.warmup) as f64
        } else {
            1.0
        };
        match self.kind {
            SchedulerType::Linear => 1.0 - progress,
            SchedulerType::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * progress).cos()),
            SchedulerType::Constant => 1.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_the_closed_forms() {
        let at = |kind, step| Schedule::new(kind, 10, 110).factor(step);
        assert_eq!(at(SchedulerType::Linear, 0), 0.0);
        assert_eq!(at(SchedulerType::Linear, 5), 0.5);
        assert_eq!(at(SchedulerType::Linear, 10), 1.0);
        assert_eq!(at(SchedulerType::Linear, 60), 0.5);
        assert_eq!(at(SchedulerType::Linear, 110), 0.0);
        assert!((at(SchedulerType::Cosine, 60) - 0.5).abs() < 1e-12);
        assert_eq!(at(SchedulerType::Constant, 100), 1.0);
        assert_eq!(at(SchedulerType::Linear, 1000), 0.0);
    }

    #[test]
    fn warmup_may_take_all_steps() {
        let factors = [0, 1, 2, 3].map(|s| Schedule::new(SchedulerType::Linear, 9, 2).factor(s));
        assert_eq!(factors, [0.0, 0.5, 0.0, 0.0]);
    }
}
