//! The check of a library's file before the loader maps it into memory: the loader trusts the
//! tables of a file, and a file that ends before its tables do ends the process.

mod header;

use crate::RuntimeError;
use header::{Header, Part};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

const NO_BITS: u32 = 8;
const STRING_TABLE: u32 = 3;
const CONTENT: u32 = 1;
const RELOCATIONS: u32 = 4;
const SYMBOLS: u32 = 11;
const EXECUTED: u64 = 4;
const LOADED: u32 = 1;
const DYNAMIC: u32 = 2;

/// Checks that the file at `path` is a whole library for this processor.
///
/// # Errors
/// If it is not, or cannot be read.
pub(crate) fn check(path: &Path) -> Result<(), RuntimeError> {
    if !cfg!(target_os = "linux") {
        return Ok(());
    }
    let problem = |reason: String| RuntimeError::NotALibrary {
        path: path.to_owned(),
        reason,
    };
    let mut file = File::open(path).map_err(|error| problem(error.to_string()))?;
    let fault = match fault(&mut file) {
        Ok(None) => return Ok(()),
        Ok(Some(fault)) => fault,
        Err(error) => return Err(problem(error.to_string())),
    };
    Err(match fault {
        Fault::Kind(reason) => problem(reason),
        Fault::Incomplete(problem) => RuntimeError::Incomplete {
            path: path.to_owned(),
            problem,
        },
    })
}

#[derive(Debug, PartialEq)]
enum Fault {
    /// Another kind of file.
    Kind(String),
    /// A library of which a part is not there.
    Incomplete(String),
}

fn fault(file: &mut (impl Read + Seek)) -> io::Result<Option<Fault>> {
    let length = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(0))?;
    let mut start = Vec::new();
    file.take(64).read_to_end(&mut start)?;
    let header = match Header::read(&start) {
        Ok(header) => header,
        Err(fault) => return Ok(Some(fault)),
    };
    if let Some(fault) = header.table(&header.segments, "program headers", length) {
        return Ok(Some(fault));
    }
    if let Some(fault) = header.table(&header.sections, "section headers", length) {
        return Ok(Some(fault));
    }
    let segments = header.segments.read(file)?;
    let segments = segments.iter().map(|entry| header.segment(entry));
    for Part { kind, offset, size } in segments {
        if let Some(fault) = cut("a segment", offset, size, length) {
            return Ok(Some(fault));
        }
        let is_needed = kind == DYNAMIC || kind == LOADED && offset == 0;
        if is_needed && size > 0 && is_zero(file, offset, size.min(64))? {
            return Ok(Some(zeros("the table for the loader")));
        }
    }
    let sections = header.sections.read(file)?;
    for (index, entry) in sections.iter().enumerate() {
        let Part { kind, offset, size } = header.section(entry);
        if kind != NO_BITS
            && let Some(fault) = cut("a section", offset, size, length)
        {
            return Ok(Some(fault));
        }
        // Programs that download allocate the whole file first, and fill it from the start, or
        // from several places at once.
        if index == usize::from(header.names) && kind != STRING_TABLE {
            return Ok(Some(zeros("the section headers")));
        }
        let is_code = kind == CONTENT && header.flags(entry) & EXECUTED != 0;
        let is_full = is_code || [STRING_TABLE, RELOCATIONS, SYMBOLS].contains(&kind);
        if is_full && has_hole(file, offset, size)? {
            return Ok(Some(zeros("a part of the code or its tables")));
        }
    }
    Ok(None)
}

/// True if one of the pages of a part that are looked at, one of 64, has only zeros. Code and the
/// tables of the loader have no such page.
fn has_hole(file: &mut (impl Read + Seek), offset: u64, size: u64) -> io::Result<bool> {
    const PAGE: u64 = 4096;
    for at in (0..size).step_by(64 * PAGE as usize) {
        let page = PAGE.min(size - at);
        if page == PAGE && is_zero(file, offset + at, page)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The fault of a part that ends behind the end of the file.
fn cut(what: &str, offset: u64, size: u64, length: u64) -> Option<Fault> {
    let end = offset.checked_add(size);
    if size == 0 || end.is_some_and(|end| end <= length) {
        return None;
    }
    Some(Fault::Incomplete(format!(
        "the file ends before {what} does"
    )))
}

fn zeros(what: &str) -> Fault {
    Fault::Incomplete(format!("there are only zeros in place of {what}"))
}

/// True if all bytes of a part are zero.
fn is_zero(file: &mut (impl Read + Seek), offset: u64, size: u64) -> io::Result<bool> {
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    file.take(size).read_to_end(&mut bytes)?;
    Ok(bytes.iter().all(|byte| *byte == 0))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::header::here;
    use super::*;
    use std::io::Cursor;

    /// A library of one segment and two sections for this processor.
    fn library() -> Vec<u8> {
        let wide = usize::BITS == 64;
        let word = |number: u64| number.to_le_bytes()[..if wide { 8 } else { 4 }].to_vec();
        let machine = here().0.to_le_bytes();
        let class = if wide { 2 } else { 1 };
        let (header, segment, section) = if wide { (64, 56, 64) } else { (52, 32, 40) };
        let data = header + segment;
        let sections = data + 16;
        let mut file = vec![
            0x7f, b'E', b'L', b'F', class, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        ];
        file.extend([3, 0, machine[0], machine[1], 1, 0, 0, 0]);
        file.extend([word(0), word(header), word(sections)].concat());
        file.extend([0, 0, 0, 0]);
        for size in [header, segment, 1, section, 2, 1] {
            file.extend((size as u16).to_le_bytes());
        }
        let dynamic = DYNAMIC.to_le_bytes();
        let mut entry = dynamic.to_vec();
        match wide {
            true => entry.extend([&[0; 4][..], &word(data), &[0; 16], &word(16)].concat()),
            false => entry.extend([&word(data)[..], &[0; 8], &word(16)].concat()),
        }
        entry.resize(segment as usize, 0);
        file.extend(entry);
        file.extend([7; 16]);
        file.extend(vec![0; section as usize]);
        let mut entry = [&[0; 4][..], &STRING_TABLE.to_le_bytes()].concat();
        let gap = if wide { 16 } else { 8 };
        entry.extend([&vec![0; gap][..], &word(data), &word(16)].concat());
        entry.resize(section as usize, 0);
        file.extend(entry);
        file
    }

    fn fault_of(bytes: &[u8]) -> Option<Fault> {
        let found = fault(&mut Cursor::new(bytes));
        found.unwrap_or_else(|error| Some(Fault::Kind(error.to_string())))
    }

    #[test]
    fn whole_libraries_pass() {
        assert_eq!(fault_of(&library()), None);
    }

    #[test]
    fn every_cut_is_found() {
        let whole = library();
        for length in 0..whole.len() {
            let found = fault_of(&whole[..length]);
            let is_found = match length {
                0..4 => matches!(found, Some(Fault::Kind(_))),
                _ => matches!(found, Some(Fault::Incomplete(_))),
            };
            assert!(is_found, "{length}: {found:?}");
        }
    }

    #[test]
    fn zeros_in_place_of_the_end_are_found() {
        let whole = library();
        for length in 64..whole.len() - 59 {
            let mut file = whole.clone();
            file[length..].fill(0);
            let found = fault_of(&file);
            assert!(matches!(found, Some(Fault::Incomplete(_))), "{length}");
        }
    }

    #[test]
    fn holes_in_code_and_tables_are_found() {
        let whole = library();
        let section = if usize::BITS == 64 { 64 } else { 40 };
        // The second section becomes one of 600 KiB behind the file as it was.
        let entry = whole.len() - section;
        let wide = if usize::BITS == 64 { 8 } else { 4 };
        let with = |kind: u32, flags: u8| {
            let mut file = whole.clone();
            file[entry + 4..entry + 8].copy_from_slice(&kind.to_le_bytes());
            file[entry + 8] = flags;
            let place = entry + 8 + 2 * wide;
            let offset = (whole.len() as u64).to_le_bytes();
            file[place..place + wide].copy_from_slice(&offset[..wide]);
            let size = 600_000_u64.to_le_bytes();
            file[place + wide..place + 2 * wide].copy_from_slice(&size[..wide]);
            file.resize(whole.len() + 600_000, 7);
            let hole = whole.len() + 64 * 4096;
            file[hole..hole + 8192].fill(0);
            // The names of sections are in the first one, so that the second may be of any kind.
            let names = if usize::BITS == 64 { 62 } else { 50 };
            file[names] = 9;
            fault_of(&file)
        };
        for (kind, flags, is_found) in [
            (CONTENT, 6, true),
            (CONTENT, 2, false),
            (RELOCATIONS, 2, true),
            (STRING_TABLE, 0, true),
            (NO_BITS, 4, false),
        ] {
            assert_eq!(with(kind, flags).is_some(), is_found, "{kind} {flags}");
        }
    }

    #[test]
    fn damaged_tables_do_not_panic() {
        let whole = library();
        for at in 0..whole.len() {
            for value in [0, 1, 0x7f, 0xff] {
                let mut file = whole.clone();
                file[at] = value;
                let _ = fault(&mut Cursor::new(file));
            }
        }
    }

    #[test]
    fn other_kinds_are_named() {
        let mut other = library();
        other[18..20].copy_from_slice(&243_u16.to_le_bytes());
        let mut program = library();
        program[16] = 2;
        let (_, here) = here();
        let cases: [(&[u8], String); 7] = [
            (b"", "the file is empty".to_owned()),
            (b"text", "it is no ELF file".to_owned()),
            (b"MZ\x90", "it is a library for Windows".to_owned()),
            (b"<!DOCTYPE html>", "it is a web page".to_owned()),
            (b"\x1f\x8b\x08", "it is a gzip archive".to_owned()),
            (
                &other,
                format!("it is for riscv64 in 64 bits, and this is {here}"),
            ),
            (&program, "it is a program or object file".to_owned()),
        ];
        for (bytes, expected) in cases {
            assert_eq!(fault_of(bytes), Some(Fault::Kind(expected)));
        }
    }
}
