use crate::Place;
use std::fmt;

/// The report of a pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changes {
    /// The pass's name.
    pub pass: &'static str,
    /// Edits, in order.
    pub made: Vec<Change>,
    /// Places that the pass looked at and left as they were, with the reasons.
    pub skipped: Vec<Change>,
}

/// One edit, or one that was not made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The node or value.
    pub place: Place,
    /// The edit, or the reason why there is none.
    pub note: String,
}

impl Changes {
    /// An empty report.
    pub fn new(pass: &'static str) -> Self {
        Self {
            pass,
            made: Vec::new(),
            skipped: Vec::new(),
        }
    }

    /// Notes an edit.
    pub fn made(&mut self, place: Place, note: impl Into<String>) {
        let note = note.into();
        self.made.push(Change { place, note });
    }

    /// Notes the reason why a place was left as it was.
    pub fn skipped(&mut self, place: Place, note: impl Into<String>) {
        let note = note.into();
        self.skipped.push(Change { place, note });
    }

    /// True if the pass changed nothing.
    pub fn is_empty(&self) -> bool {
        self.made.is_empty()
    }
}

impl fmt::Display for Changes {
    /// One line for each edit, then one for each place that was left.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for change in &self.made {
            writeln!(f, "{}: {}: {}", self.pass, change.place, change.note)?;
        }
        for change in &self.skipped {
            writeln!(
                f,
                "{}: {}: not changed: {}",
                self.pass, change.place, change.note
            )?;
        }
        Ok(())
    }
}
