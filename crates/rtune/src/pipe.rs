//! Standard input and other pipes, whose reading a request to stop ends also while nothing comes.

use crate::interrupt::INTERRUPT;
use std::fs::File;
use std::io::{Error, ErrorKind, Read, Result};
use std::path::Path;

/// A pipe, or a file in its place.
pub(crate) struct Pipe(File);

#[cfg(unix)]
impl Pipe {
    /// Opens standard input.
    pub(crate) fn stdin() -> Result<Self> {
        use std::os::fd::AsFd as _;
        let stdin = std::io::stdin().as_fd().try_clone_to_owned()?;
        Ok(Self(File::from(stdin)))
    }

    /// Opens a pipe; `None` if the path is none, or cannot be opened.
    pub(crate) fn open(path: &Path) -> Option<Self> {
        use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
        if !std::fs::metadata(path).ok()?.file_type().is_fifo() {
            return None;
        }
        // Without the flag, opening waits for a writer, and no request to stop ends that.
        let mut options = File::options();
        let file = options.read(true).custom_flags(libc::O_NONBLOCK).open(path);
        file.ok().map(Self)
    }

    /// Waits for bytes or the end, and at most a moment. Returns false if neither came.
    #[expect(unsafe_code, reason = "no safe crate at hand waits for a descriptor")]
    fn wait(&self) -> Result<bool> {
        use std::os::fd::AsRawFd as _;
        const MILLISECONDS: libc::c_int = 100;
        let mut events = libc::pollfd {
            fd: self.0.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        // SAFETY: the place is that of one `pollfd`, and its descriptor is open as long as `self`.
        match unsafe { libc::poll(&raw mut events, 1, MILLISECONDS) } {
            -1 => match Error::last_os_error() {
                error if error.kind() == ErrorKind::Interrupted => Ok(false),
                error => Err(error),
            },
            count => Ok(count > 0),
        }
    }
}

#[cfg(not(unix))]
impl Pipe {
    /// Opens standard input.
    pub(crate) fn stdin() -> Result<Self> {
        use std::os::windows::io::AsHandle as _;
        let stdin = std::io::stdin().as_handle().try_clone_to_owned()?;
        Ok(Self(File::from(stdin)))
    }

    pub(crate) fn open(_: &Path) -> Option<Self> {
        None
    }

    fn wait(&self) -> Result<bool> {
        Ok(true)
    }
}

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        loop {
            INTERRUPT.check().map_err(Error::other)?;
            if !self.wait()? {
                continue;
            }
            match self.0.read(buffer) {
                // Another reader of the same pipe was faster.
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                other => return other,
            }
        }
    }
}
