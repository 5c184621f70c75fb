//! The place of results that come one after the other: standard output, or a file that appears
//! complete or not at all.

use crate::exit::InterruptedAfter;
use crate::interrupt::is_interruption;
use anyhow::Result;
use rtune_package::{PackageError, StagedFile};
use std::io::{self, BufWriter, IsTerminal as _, Stdout, Write};
use std::path::Path;

pub(crate) struct Sink {
    place: Place,
    /// True if something was written to standard output.
    printed: bool,
}

enum Place {
    Stdout(BufWriter<Stdout>),
    File(BufWriter<StagedFile>),
}

impl Sink {
    /// Opens a file, which must not be `input`, or standard output.
    pub(crate) fn open(file: Option<&Path>, force: bool, input: Option<&Path>) -> Result<Self> {
        let inputs: Vec<&Path> = input.into_iter().collect();
        let place = match file {
            Some(path) => Place::File(BufWriter::new(StagedFile::new(path, force, &inputs)?)),
            None => Place::Stdout(BufWriter::new(io::stdout())),
        };
        Ok(Self {
            place,
            printed: false,
        })
    }

    /// Returns true if a progress bar does not come between the results.
    pub(crate) fn is_apart(&self) -> bool {
        matches!(self.place, Place::File(_)) || !io::stdout().is_terminal()
    }

    /// Writes with `write`. Returns false if the reader of standard output has seen enough.
    pub(crate) fn write(
        &mut self,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<bool> {
        match &mut self.place {
            Place::File(file) => {
                write(file).map_err(PackageError::write(file.get_ref().target()))?;
                Ok(true)
            }
            Place::Stdout(out) => {
                self.printed = true;
                match write(out).and_then(|()| out.flush()) {
                    Ok(()) => Ok(true),
                    Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
                    Err(error) => Err(anyhow::Error::new(error).context("standard output")),
                }
            }
        }
    }

    /// Moves a file into place.
    pub(crate) fn commit(self) -> Result<()> {
        let Place::File(file) = self.place else {
            return Ok(());
        };
        let target = file.get_ref().target().to_owned();
        let file = file.into_inner().map_err(io::IntoInnerError::into_error);
        Ok(file.map_err(PackageError::write(target))?.commit()?)
    }

    /// Says in the error of an interruption that results were printed, if they were.
    pub(crate) fn interrupted(&self, error: anyhow::Error) -> anyhow::Error {
        match self.printed && error.chain().any(is_interruption) {
            true => anyhow::Error::new(InterruptedAfter),
            false => error,
        }
    }
}
