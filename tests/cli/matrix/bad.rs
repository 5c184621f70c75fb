//! Kinds of paths, and kinds of bad input at a path.

use std::path::Path;

/// The kind of a path, which decides what can be bad about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Rows of text and label.
    Table,
    /// Rows of text that a command takes one by one: it marks the bad ones and goes on.
    Rows,
    /// One such row, which is written with its fault.
    OneRow,
    /// Lines of text.
    Texts,
    /// A JSON document.
    Json,
    /// A safetensors or ONNX file.
    Binary,
    /// A config file.
    Toml,
    /// A shared library.
    Library,
    /// A folder that is read.
    Folder,
    /// A folder that is written.
    Output,
}

use Kind::{Binary, Folder, Json, Library, OneRow, Output as Out, Rows, Table, Texts, Toml};

/// A kind of bad input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bad {
    Missing,
    Empty,
    Truncated,
    WrongType,
    /// Latin-1 in place of UTF-8.
    Latin1,
    Utf16,
    Unreadable,
    /// A folder in place of a file, or the reverse.
    Swapped,
    HugeLine,
    Nul,
    /// A link to itself.
    Loop,
    /// A folder with files that rtune did not write.
    Foreign,
    /// A folder below a file.
    BelowFile,
    /// A name of 300 characters.
    LongName,
}

pub(super) const ALL: [Bad; 14] = [
    Bad::Missing,
    Bad::Empty,
    Bad::Truncated,
    Bad::WrongType,
    Bad::Latin1,
    Bad::Utf16,
    Bad::Unreadable,
    Bad::Swapped,
    Bad::HugeLine,
    Bad::Nul,
    Bad::Loop,
    Bad::Foreign,
    Bad::BelowFile,
    Bad::LongName,
];

impl Bad {
    /// True if a path of the kind can be bad in this way.
    pub(super) fn applies(self, kind: Kind) -> bool {
        match self {
            Self::Missing | Self::Loop => kind != Out,
            // A config file without keys is a valid one.
            Self::Empty => !matches!(kind, Toml | Out),
            Self::Swapped => true,
            Self::Truncated => !matches!(kind, Folder | Out | Texts),
            Self::WrongType | Self::Nul => !matches!(kind, Folder | Out),
            // Tables in UTF-16 have cases of their own.
            Self::Latin1 => matches!(kind, Table | Rows | OneRow | Texts | Json | Toml),
            Self::Utf16 => matches!(kind, Json | Toml),
            // A library is named by its real path, which is another one in each process.
            Self::Unreadable => {
                cfg!(target_os = "linux") && !matches!(kind, Folder | Out | Library)
            }
            Self::HugeLine => matches!(kind, Table | Rows | OneRow | Json | Toml | Binary),
            Self::Foreign | Self::BelowFile | Self::LongName => kind == Out,
        }
    }

    /// True if some rows are good, and the command takes them.
    pub(super) fn leaves_rows(self, kind: Kind) -> bool {
        kind == Rows && matches!(self, Self::Truncated | Self::Latin1)
    }

    /// True if no row is good, and the command writes the bad ones, before it fails.
    pub(super) fn writes_rows(self, kind: Kind) -> bool {
        use Bad::{HugeLine, Latin1, Nul, Truncated, WrongType};
        kind == OneRow && matches!(self, Truncated | WrongType | Latin1 | HugeLine | Nul)
    }

    /// Puts the bad input at a path. Returns the path to give to the command if it is another one.
    pub(super) fn apply(self, path: &Path, kind: Kind) -> std::io::Result<()> {
        let old = std::fs::read(path).unwrap_or_default();
        remove(path)?;
        let write = |content: &[u8]| std::fs::write(path, content);
        match self {
            Self::Missing | Self::BelowFile | Self::LongName => Ok(()),
            Self::Empty if kind == Folder => std::fs::create_dir(path),
            Self::Empty => write(b""),
            Self::Truncated => write(&old[..end_of_first_part(&old, kind)]),
            Self::WrongType => write(wrong_type(kind)),
            Self::Latin1 => {
                write(&[&old[..old.len() / 2], b"\xe9", &old[old.len() / 2..]].concat())
            }
            Self::Utf16 => {
                let text = String::from_utf8_lossy(&old).into_owned();
                let units = text.encode_utf16().flat_map(u16::to_le_bytes);
                write(&[0xff, 0xfe].into_iter().chain(units).collect::<Vec<u8>>())
            }
            // Not even root can read the first page of a process.
            Self::Unreadable => link(Path::new("/proc/self/mem"), path),
            Self::Swapped if matches!(kind, Folder | Out) => write(b"a file\n"),
            Self::Swapped => std::fs::create_dir(path),
            Self::HugeLine => write(&huge_line(kind)),
            Self::Nul => write(&[0; 4096]),
            Self::Loop => link(path, path),
            Self::Foreign => {
                std::fs::create_dir(path)?;
                std::fs::write(path.join("notes.txt"), "not rtune's\n")
            }
        }
    }
}

fn remove(path: &Path) -> std::io::Result<()> {
    match std::fs::symlink_metadata(path) {
        Err(_) => Ok(()),
        Ok(data) if data.is_dir() => std::fs::remove_dir_all(path),
        Ok(_) => std::fs::remove_file(path),
    }
}

#[cfg(unix)]
pub(super) fn link(target: &Path, path: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(target, path)
}

#[cfg(not(unix))]
pub(super) fn link(_: &Path, _: &Path) -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}

/// Returns the length of a file that is cut: half of it, a table before its last comma, a config
/// file within its last value.
fn end_of_first_part(content: &[u8], kind: Kind) -> usize {
    let comma = content.iter().rposition(|byte| b",\t".contains(byte));
    match (kind, comma) {
        (Table | Rows | OneRow, Some(comma)) => comma,
        (Toml, _) => content.len() - 4,
        _ => content.len() / 2,
    }
}

/// Returns the content of a file of another type.
fn wrong_type(kind: Kind) -> &'static [u8] {
    match kind {
        Table | Rows | OneRow | Texts => b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\xff\xfe",
        Json => b"[1, 2]\n",
        Toml => b"{\"seed\": 1}\n",
        _ => b"<html><body>404</body></html>\n",
    }
}

/// Returns a file with one line of a mebibyte.
fn huge_line(kind: Kind) -> Vec<u8> {
    const LENGTH: usize = 1 << 20;
    match kind {
        Json => vec![b'['; LENGTH],
        Toml => [&[b'a'; LENGTH][..], b" = 1\n"].concat(),
        // The length of the header of a safetensors file, or a field of an ONNX file without end.
        Binary => vec![0xff; LENGTH],
        _ => [&[b'a'; LENGTH][..], b"\nb\n"].concat(),
    }
}
