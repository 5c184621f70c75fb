use serde::de::{MapAccess, Visitor};
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::marker::PhantomData;

/// A value for each class, by its name. As JSON, an object in the order of the classes.
///
/// ```
/// use rtune_task::ByClass;
///
/// let labels = ["good", "bad"].map(String::from);
/// let shares = ByClass::new(&labels, [0.25, 0.75]);
/// assert_eq!(shares.get("bad"), Some(&0.75));
/// assert_eq!(serde_json::to_string(&shares)?, r#"{"good":0.25,"bad":0.75}"#);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ByClass<T>(Vec<(String, T)>);

impl<T> ByClass<T> {
    /// Joins names and values, as many as there are of both.
    pub fn new(labels: &[String], values: impl IntoIterator<Item = T>) -> Self {
        Self(labels.iter().cloned().zip(values).collect())
    }

    /// The value of a class.
    pub fn get(&self, label: &str) -> Option<&T> {
        let mut pairs = self.0.iter();
        pairs
            .find(|(name, _)| name == label)
            .map(|(_, value)| value)
    }

    /// Iterates over names and values.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &T)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// Returns whether there is no class.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Puts the classes into the order of `labels`; a file may have had another one.
    pub(crate) fn sort(&mut self, labels: &[String]) {
        self.0
            .sort_by_key(|(name, _)| labels.iter().position(|label| label == name));
    }

    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.0.iter_mut().map(|(_, value)| value)
    }
}

impl<T> Default for ByClass<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Serialize> Serialize for ByClass<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for ByClass<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Pairs(PhantomData))
    }
}

struct Pairs<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Pairs<T> {
    type Value = ByClass<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with a value for each class")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = map.next_entry()? {
            pairs.push(pair);
        }
        Ok(ByClass(pairs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_the_classes_survives_text_and_comes_back_after_a_sort_by_name() {
        let labels = ["9", "10", "a"].map(str::to_owned);
        let values = ByClass::new(&labels, [1, 2, 3]);
        let text = serde_json::to_string(&values).unwrap();
        assert_eq!(text, r#"{"9":1,"10":2,"a":3}"#);
        assert_eq!(serde_json::from_str::<ByClass<i32>>(&text).unwrap(), values);
        // Objects in memory are sorted by name.
        let value = serde_json::to_value(&values).unwrap();
        let mut found: ByClass<i32> = serde_json::from_value(value).unwrap();
        assert_ne!(found, values);
        found.sort(&labels);
        assert_eq!(found, values);
        assert_eq!((found.get("10"), found.get("b")), (Some(&2), None));
        let error = serde_json::from_str::<ByClass<i32>>("[1]").unwrap_err();
        let expected = "invalid type: sequence, expected an object with a value for each class";
        assert!(error.to_string().starts_with(expected), "{error}");
    }
}
