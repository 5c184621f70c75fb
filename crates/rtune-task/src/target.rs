/// What a text should give.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Target {
    /// A class, from 0.
    Class(usize),
    /// A number.
    Number(f64),
}

impl Target {
    /// The class, where it is one.
    pub fn class(self) -> Option<usize> {
        match self {
            Self::Class(class) => Some(class),
            Self::Number(_) => None,
        }
    }

    /// The target as a number.
    #[allow(clippy::cast_precision_loss)] // Classes are few.
    pub fn number(self) -> f64 {
        match self {
            Self::Class(class) => class as f64,
            Self::Number(number) => number,
        }
    }
}
