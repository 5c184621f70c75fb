//! The header of an ELF file and its two tables.

use super::{Fault, cut};
use std::io::{self, Read, Seek, SeekFrom};

/// Kinds of files that are taken for a library, by their first bytes.
const OTHERS: &[(&[u8], &str)] = &[
    (b"MZ", "a library for Windows"),
    (b"\xcf\xfa\xed\xfe", "a library for macOS"),
    (b"\xca\xfe\xba\xbe", "a library for macOS"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"PK", "a zip archive"),
    (b"version https://git-lfs", "a Git LFS pointer"),
    (b"<", "a web page"),
    (b"!<arch>", "a static library"),
];

/// Processors: the number in ELF files, the name, and true for that of this program.
const MACHINES: &[(u16, &str, bool)] = &[
    (3, "x86", cfg!(target_arch = "x86")),
    (20, "powerpc", cfg!(target_arch = "powerpc")),
    (21, "powerpc64", cfg!(target_arch = "powerpc64")),
    (22, "s390x", cfg!(target_arch = "s390x")),
    (40, "arm", cfg!(target_arch = "arm")),
    (62, "x86_64", cfg!(target_arch = "x86_64")),
    (183, "aarch64", cfg!(target_arch = "aarch64")),
    (243, "riscv64", cfg!(target_arch = "riscv64")),
    (258, "loongarch64", cfg!(target_arch = "loongarch64")),
];

/// The number and the name of this program's processor.
pub(super) fn here() -> (u16, &'static str) {
    let found = MACHINES.iter().find(|(_, _, is_here)| *is_here);
    found.map_or((0, "another"), |(code, name, _)| (*code, name))
}

const LIBRARY: u16 = 3;

/// A segment or section: its kind, and its place in the file.
pub(super) struct Part {
    pub(super) kind: u32,
    pub(super) offset: u64,
    pub(super) size: u64,
}

/// A table of entries of equal size.
pub(super) struct Table {
    offset: u64,
    entry: u64,
    count: u64,
}

impl Table {
    pub(super) fn read(&self, file: &mut (impl Read + Seek)) -> io::Result<Vec<Vec<u8>>> {
        if self.count == 0 {
            return Ok(Vec::new());
        }
        file.seek(SeekFrom::Start(self.offset))?;
        let mut entries = Vec::new();
        for _ in 0..self.count {
            let mut entry = vec![0; self.entry as usize];
            file.read_exact(&mut entry)?;
            entries.push(entry);
        }
        Ok(entries)
    }
}

/// The header of an ELF file for 64-bit processors, or for 32-bit ones.
pub(super) struct Header {
    pub(super) segments: Table,
    pub(super) sections: Table,
    /// The index of the section with the names of sections.
    pub(super) names: u16,
}

impl Header {
    pub(super) fn read(start: &[u8]) -> Result<Self, Fault> {
        if start.is_empty() {
            return Err(Fault::Kind("the file is empty".to_owned()));
        }
        if !start.starts_with(b"\x7fELF") {
            let found = OTHERS.iter().find(|(magic, _)| start.starts_with(magic));
            let kind = found.map_or("no ELF file", |(_, kind)| kind);
            return Err(Fault::Kind(format!("it is {kind}")));
        }
        let cut = || Fault::Incomplete("the file ends before its header does".to_owned());
        if start.len() < 20 {
            return Err(cut());
        }
        let (class, order) = (start[4], start[5]);
        let machine = u16::from_le_bytes([start[18], start[19]]);
        let (_, here) = here();
        if order == 1 && (class == 1 || class == 2) {
            let known = MACHINES.iter().find(|(code, ..)| *code == machine);
            let name = known.map_or_else(|| format!("machine {machine}"), |m| m.1.to_owned());
            let bits = usize::from(class) * 32;
            if name != here || bits != usize::BITS as usize {
                let problem = format!("it is for {name} in {bits} bits, and this is {here}");
                return Err(Fault::Kind(problem));
            }
        } else {
            let problem = format!("it is for another kind of processor than {here}");
            return Err(Fault::Kind(problem));
        }
        if u16::from_le_bytes([start[16], start[17]]) != LIBRARY {
            return Err(Fault::Kind("it is a program or object file".to_owned()));
        }
        match class {
            2 if start.len() < 64 => Err(cut()),
            1 if start.len() < 52 => Err(cut()),
            2 => Ok(Self::of(start, [32, 40], 54)),
            _ => Ok(Self::of(start, [28, 32], 42)),
        }
    }

    /// The header whose offsets of tables are at `offsets`, and the sizes from `sizes` on.
    fn of(start: &[u8], offsets: [usize; 2], sizes: usize) -> Self {
        let wide = offsets[0] == 32;
        let short = |at: usize| u64::from(u16::from_le_bytes([start[at], start[at + 1]]));
        let table = |offset: usize, at: usize| Table {
            offset: number(start, offset, wide),
            entry: short(at),
            count: short(at + 2),
        };
        Self {
            segments: table(offsets[0], sizes),
            sections: table(offsets[1], sizes + 4),
            names: short(sizes + 8) as u16,
        }
    }

    fn is_wide(&self) -> bool {
        usize::BITS == 64
    }

    /// The fault of a table that the file does not hold, or whose entries are too small.
    pub(super) fn table(&self, table: &Table, name: &str, length: u64) -> Option<Fault> {
        let smallest = if self.is_wide() { 56 } else { 32 };
        if table.count > 0 && table.entry < smallest {
            return Some(Fault::Incomplete(format!("its {name} are damaged")));
        }
        cut(
            &format!("its table of {name}"),
            table.offset,
            table.entry * table.count,
            length,
        )
    }

    pub(super) fn segment(&self, entry: &[u8]) -> Part {
        let at = if self.is_wide() { [8, 32] } else { [4, 16] };
        self.part(entry, 0, at)
    }

    /// The flags of a section.
    pub(super) fn flags(&self, entry: &[u8]) -> u64 {
        number(entry, 8, self.is_wide())
    }

    pub(super) fn section(&self, entry: &[u8]) -> Part {
        let at = if self.is_wide() { [24, 32] } else { [16, 20] };
        self.part(entry, 4, at)
    }

    fn part(&self, entry: &[u8], kind: usize, [offset, size]: [usize; 2]) -> Part {
        Part {
            kind: number(entry, kind, false) as u32,
            offset: number(entry, offset, self.is_wide()),
            size: number(entry, size, self.is_wide()),
        }
    }
}

/// A number of 8 bytes, or of 4.
fn number(bytes: &[u8], at: usize, wide: bool) -> u64 {
    let size = if wide { 8 } else { 4 };
    let bytes = bytes[at..at + size].iter().rev();
    bytes.fold(0, |number, byte| number << 8 | u64::from(*byte))
}
