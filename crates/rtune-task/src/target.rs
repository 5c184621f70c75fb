/// The label of an example.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Target {
    /// The index of a class, from 0.
    Class(usize),
    /// A number.
    Number(f64),
}

impl Target {
    /// Returns the class, or none for a number.
    pub fn class(self) -> Option<usize> {
        match self {
            Self::Class(class) => Some(class),
            Self::Number(_) => None,
        }
    }

    /// Returns the label as a number.
    pub fn number(self) -> f64 {
        match self {
            Self::Class(class) => class as f64,
            Self::Number(number) => number,
        }
    }
}
