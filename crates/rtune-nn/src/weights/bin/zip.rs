//! The archive around tensors of PyTorch: zip without compression.

use crate::Result;
use crate::weights::checksum::compare;
use crate::weights::stored::WeightFile;
use std::collections::BTreeMap;

/// The largest list of entries and the largest entry that are read into memory.
pub(super) const LIMIT: u64 = 64 << 20;

/// The end of an archive without its comment, and the longest comment.
const END: u64 = 22;
const COMMENT: u64 = 0xffff;

/// An entry of an archive.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    /// The position of its header.
    header: u64,
    pub(super) size: u64,
    /// CRC-32 of the content. PyTorch writes 0 if it is told to compute none.
    pub(super) checksum: Option<u32>,
}

/// The entries of an archive by name.
pub(super) struct Archive<'a> {
    file: &'a WeightFile,
    entries: BTreeMap<String, Entry>,
}

fn number<const N: usize>(bytes: &[u8], at: usize) -> Option<u64> {
    let bytes = bytes.get(at..at.checked_add(N)?)?;
    Some(
        bytes
            .iter()
            .rev()
            .fold(0, |n, byte| n << 8 | u64::from(*byte)),
    )
}

impl<'a> Archive<'a> {
    /// Reads the list of entries.
    ///
    /// # Errors
    /// If the archive is truncated or damaged, or an entry is compressed or encrypted.
    pub(super) fn read(file: &'a WeightFile) -> Result<Self> {
        let damaged = "is a truncated or damaged archive; download it again";
        let (start, size) = directory(file)?.ok_or_else(|| file.problem(damaged))?;
        let list = file.part(start, size, LIMIT, "the list of the archive's entries")?;
        let mut entries = BTreeMap::new();
        let mut rest = &list[..];
        while rest.starts_with(b"PK\x01\x02") {
            let (name, entry, after) = entry(file, rest)?.ok_or_else(|| file.problem(damaged))?;
            entries.insert(name, entry);
            rest = after;
        }
        Ok(Self { file, entries })
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    pub(super) fn entry(&self, name: &str) -> Option<Entry> {
        self.entries.get(name).copied()
    }

    /// The position of an entry's content, all of which is in the file.
    pub(super) fn start(&self, name: &str, entry: Entry) -> Result<u64> {
        let damaged = || {
            let problem = format!("the archive's entry {name} is damaged; download it again");
            self.file.problem(problem)
        };
        let header = self.file.part(entry.header, 30, 30, name)?;
        let lengths = number::<2>(&header, 26).zip(number::<2>(&header, 28));
        let (name, extra) = lengths
            .filter(|_| header.starts_with(b"PK\x03\x04"))
            .ok_or_else(damaged)?;
        let start = entry.header + 30 + name + extra;
        let is_inside = start
            .checked_add(entry.size)
            .is_some_and(|end| end <= self.file.length);
        is_inside.then_some(start).ok_or_else(damaged)
    }

    /// The content of a small entry.
    pub(super) fn content(&self, name: &str, entry: Entry) -> Result<Vec<u8>> {
        let start = self.start(name, entry)?;
        let content = self.file.part(start, entry.size, LIMIT, name)?;
        if let Some(stated) = entry.checksum {
            compare(self.file, name, stated, crc32fast::hash(&content))?;
        }
        Ok(content)
    }
}

/// Position and size of the list of entries.
fn directory(file: &WeightFile) -> Result<Option<(u64, u64)>> {
    let tail_size = file.length.min(END + COMMENT);
    let tail_start = file.length - tail_size;
    let tail = file.part(tail_start, tail_size, tail_size, "the end of the archive")?;
    let mut windows = tail.windows(4).enumerate().rev();
    let Some((end, _)) = windows.find(|(_, bytes)| *bytes == b"PK\x05\x06") else {
        return Ok(None);
    };
    let found = number::<4>(&tail, end + 16).zip(number::<4>(&tail, end + 12));
    let Some((start, size)) = found else {
        return Ok(None);
    };
    if start != 0xffff_ffff && size != 0xffff_ffff {
        return Ok(Some((start, size)));
    }
    // Large archives state both numbers in a record of their own.
    let locator = end.checked_sub(20).and_then(|at| tail.get(at..end));
    let Some(record) = locator
        .filter(|locator| locator.starts_with(b"PK\x06\x07"))
        .and_then(|locator| number::<8>(locator, 8))
    else {
        return Ok(None);
    };
    let record = file.part(record, 56, 56, "the end of the archive")?;
    let found = number::<8>(&record, 48).zip(number::<8>(&record, 40));
    Ok(found.filter(|_| record.starts_with(b"PK\x06\x06")))
}

/// The first entry of a list, and the rest of it.
fn entry<'b>(file: &WeightFile, list: &'b [u8]) -> Result<Option<(String, Entry, &'b [u8])>> {
    let field = |at| number::<2>(list, at).map(|n| n as usize);
    let (Some(name), Some(extra), Some(comment)) = (field(28), field(30), field(32)) else {
        return Ok(None);
    };
    let end = 46 + name + extra + comment;
    let parts = (
        list.get(46..46 + name),
        list.get(46 + name..46 + name + extra),
    );
    let ((Some(name), Some(extra)), Some(rest)) = (parts, list.get(end..)) else {
        return Ok(None);
    };
    let name = String::from_utf8_lossy(name).into_owned();
    if field(8).is_some_and(|flags| flags & 1 != 0) || field(10) != Some(0) {
        return Err(file.problem(format!(
            "the archive's entry {name} is compressed or encrypted, which PyTorch never does; \
             download it again"
        )));
    }
    let mut sizes = [24, 42].map(|at| number::<4>(list, at).unwrap_or(0));
    let compressed = number::<4>(list, 20) == Some(0xffff_ffff);
    // Numbers of 64 bits are in a field of their own, in this order, each if the small one is full.
    let mut large = large_numbers(extra).into_iter();
    if sizes[0] == 0xffff_ffff {
        let Some(size) = large.next() else {
            return Ok(None);
        };
        sizes[0] = size;
    }
    if compressed {
        large.next();
    }
    if sizes[1] == 0xffff_ffff {
        let Some(header) = large.next() else {
            return Ok(None);
        };
        sizes[1] = header;
    }
    let [size, header] = sizes;
    let checksum = number::<4>(list, 16).map(|checksum| checksum as u32);
    let entry = Entry {
        header,
        size,
        checksum: checksum.filter(|checksum| *checksum != 0),
    };
    Ok(Some((name, entry, rest)))
}

/// The numbers of the field for large archives, if it is there.
fn large_numbers(mut extra: &[u8]) -> Vec<u64> {
    while let (Some(id), Some(size)) = (number::<2>(extra, 0), number::<2>(extra, 2)) {
        let end = 4 + size as usize;
        let Some(content) = extra.get(4..end) else {
            break;
        };
        if id == 1 {
            let numbers = content.as_chunks::<8>().0;
            return numbers.iter().map(|n| u64::from_le_bytes(*n)).collect();
        }
        extra = &extra[end..];
    }
    Vec::new()
}
