/// A text to tokenize, or a pair of texts, such as a premise and a hypothesis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Text<'a> {
    /// The text, or the first of the pair.
    pub first: &'a str,
    /// The second text of the pair.
    pub second: Option<&'a str>,
}

impl<'a> From<&'a str> for Text<'a> {
    fn from(first: &'a str) -> Self {
        let second = None;
        Self { first, second }
    }
}

impl<'a> From<(&'a str, &'a str)> for Text<'a> {
    fn from((first, second): (&'a str, &'a str)) -> Self {
        let second = Some(second);
        Self { first, second }
    }
}
