//! The form of files before PyTorch 1.6: pickles one after another, and the storages behind them.

use crate::Result;
use crate::weights::bin::objects::Object;
use crate::weights::bin::pickle::{Pickle, run};
use crate::weights::bin::{Place, Places, refused, views, zip};
use crate::weights::stored::{FileTensor, WeightFile};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The pickle of a number at the beginning of each file.
pub(super) const MAGIC: [u8; 15] = *b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.";

/// The tensors of a file.
pub(super) fn tensors(file: &Arc<WeightFile>) -> Result<Vec<FileTensor>> {
    let head = file.part(0, file.length.min(zip::LIMIT), zip::LIMIT, "the pickle")?;
    let pickle = |start| run(&head, start).map_err(|error| refused(file, "the file", error));
    let version = pickle(MAGIC.len())?;
    if !matches!(version.object(version.top), Object::Int(1001)) {
        let problem = "is of an unknown version of PyTorch's old format; download it again";
        return Err(file.problem(problem));
    }
    let system = pickle(version.end)?;
    let state = pickle(system.end)?;
    let keys = pickle(state.end)?;
    let places = places(file, &state, &keys)?;
    views(file, "the file", &state, &places, is_big_endian(&system))
}

fn is_big_endian(system: &Pickle) -> bool {
    let Object::Dict(pairs) = system.object(system.top) else {
        return false;
    };
    let mut pairs = pairs.iter();
    pairs.any(|(key, value)| {
        matches!(system.object(*key), Object::Text(key) if key == "little_endian")
            && matches!(system.object(*value), Object::Bool(false))
    })
}

/// The storages in their order, each after its number of elements.
fn places(file: &WeightFile, state: &Pickle, keys: &Pickle) -> Result<Places> {
    let damaged = || {
        let problem = "its list of storages does not fit the tensors; download it again";
        file.problem(problem)
    };
    let known: BTreeMap<&str, u64> = state
        .storages
        .iter()
        .map(|storage| (storage.key.as_str(), storage.element.size()))
        .collect();
    let Object::List(list) = keys.object(keys.top) else {
        return Err(damaged());
    };
    let mut places = Places::new();
    let mut position = keys.end as u64;
    for key in list {
        let Object::Text(key) = keys.object(*key) else {
            return Err(damaged());
        };
        let size = known.get(key.as_str()).ok_or_else(damaged)?;
        let count = file.part(position, 8, 8, "a storage")?;
        let count = count
            .iter()
            .rev()
            .fold(0, |n, byte| n << 8 | u64::from(*byte));
        let end = count
            .checked_mul(*size)
            .and_then(|bytes| Some((position + 8, bytes, (position + 8).checked_add(bytes)?)));
        let Some((start, bytes, end)) = end.filter(|(_, _, end)| *end <= file.length) else {
            return Err(file.problem(format!(
                "storage {key} reaches beyond the end of the file, which has {} bytes; download \
                 it again",
                file.length
            )));
        };
        let place = Place {
            start,
            bytes,
            checksum: None,
        };
        places.insert(key.clone(), place);
        position = end;
    }
    Ok(places)
}
