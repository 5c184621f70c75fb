//! Files of PyTorch: `fixtures/pytorch/read` has tensors that torch wrote, and every file of
//! `fixtures/pytorch/refused` must be refused.

#![expect(clippy::unwrap_used, reason = "a failure here is the test's failure")]

use candle_core::{DType, Device};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use rtune_nn::load_tensors;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

fn folder(name: &str) -> PathBuf {
    rtune_testkit::fixtures().join("pytorch").join(name)
}

/// The paths of the files in a folder, sorted.
fn files(name: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder(name)).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn tensors_of_each_form_are_read() {
    let halves = || (vec![2], vec![0.5, -2.0]);
    let expected = BTreeMap::from([
        ("bfloat", halves()),
        ("double", halves()),
        ("empty", (vec![0, 4], Vec::new())),
        ("float", (vec![3, 4], (0..12).map(|n| n as f32).collect())),
        ("half", halves()),
        ("parameter", halves()),
        ("part", (vec![2, 2], vec![5.0, 6.0, 9.0, 10.0])),
        ("scalar", (vec![], vec![7.0])),
        (
            "transposed",
            (
                vec![4, 3],
                vec![0.0, 4.0, 8.0, 1.0, 5.0, 9.0, 2.0, 6.0, 10.0, 3.0, 7.0, 11.0],
            ),
        ),
    ]);
    let paths = files("read");
    assert_eq!(paths.len(), 5);
    for path in paths {
        let read = load_tensors(&path, &Device::Cpu).unwrap();
        let read: BTreeMap<&str, (Vec<usize>, Vec<f32>)> = read
            .iter()
            .map(|(name, tensor)| {
                assert_eq!(tensor.dtype(), DType::F32);
                let values = tensor.flatten_all().unwrap().to_vec1().unwrap();
                (name.as_str(), (tensor.dims().to_vec(), values))
            })
            .collect();
        assert_eq!(read, expected, "{}", path.display());
    }
}

/// The files of `refused`, and a part of the message about each.
const REFUSED: &[(&str, &str)] = &[
    ("attributes", "attributes are set on a tensor"),
    ("below_mark", "an operation takes values that are not there"),
    (
        "beyond",
        "tensor `a` reaches beyond its storage, which has 4 elements",
    ),
    ("cycle", "archive/data.pkl holds a list"),
    ("deep_lists", "archive/data.pkl holds a list"),
    ("deep_marks", "an operation takes values that are not there"),
    ("deep_tuples", "archive/data.pkl holds a tuple"),
    (
        "dotted",
        "the pickle asks for `torch.FloatStorage.__init__`",
    ),
    ("empty", "the pickle ends within an operation"),
    ("eval", "the pickle asks for `__builtin__.eval`"),
    ("exec_in_list", "the pickle asks for `__builtin__.exec`"),
    ("extension", "the operation EXT1 is not"),
    ("getattr", "the pickle asks for `__builtin__.getattr`"),
    ("huge_bytes", "the operation BINBYTES8 is not"),
    (
        "huge_count",
        "tensor `a` reaches beyond its storage, which has 4 elements",
    ),
    ("huge_frame", "the pickle ends within an operation"),
    (
        "huge_offset",
        "tensor `a` reaches beyond its storage, which has 4 elements",
    ),
    ("huge_product", "tensor `a` has more elements than any file"),
    (
        "huge_size",
        "tensor `a` reaches beyond its storage, which has 4 elements",
    ),
    (
        "huge_stride",
        "tensor `a` reaches beyond its storage, which has 4 elements",
    ),
    ("huge_text", "the pickle ends within an operation"),
    ("inst", "the operation INST is not"),
    (
        "many_dimensions",
        "a tensor has no storage, offset, sizes and strides",
    ),
    ("memo_far", "an operation takes values that are not there"),
    (
        "memo_of_nothing",
        "an operation takes values that are not there",
    ),
    (
        "memo_unknown",
        "an operation takes values that are not there",
    ),
    (
        "module",
        "byte 2 of module/data.pkl: the pickle asks for `torch.nn.modules.linear.Linear`",
    ),
    (
        "negative",
        "a tensor has no storage, offset, sizes and strides",
    ),
    (
        "negative_count",
        "an external object is no storage of a tensor",
    ),
    (
        "negative_stride",
        "a tensor has no storage, offset, sizes and strides",
    ),
    (
        "nested",
        "nested/data.pkl holds `epoch`, which is an integer,",
    ),
    ("nested_reduce", "a dictionary is called as a function"),
    ("newobj", "the operation NEWOBJ is not"),
    ("newobj_ex", "the operation NEWOBJ_EX is not"),
    ("no_stop", "the pickle ends within an operation"),
    (
        "number_as_name",
        "archive/data.pkl holds a dictionary without names of tensors",
    ),
    ("obj", "the pickle asks for `os.system`"),
    ("odd_items", "an operation takes values that are not there"),
    (
        "ordered_dict_elsewhere",
        "the pickle asks for `evil.collections.OrderedDict`",
    ),
    ("ordered_dict_of_itself", "the operation POP is not"),
    ("os_system", "the pickle asks for `posix.system`"),
    ("other_archive", "is a zip archive without data.pkl"),
    (
        "parameter_of_text",
        "an operation takes values that are not there",
    ),
    ("persid", "the operation PERSID is not"),
    (
        "persistent_class",
        "an external object is no storage of a tensor",
    ),
    ("persistent_missing", "lacks its entry archive/data/9"),
    (
        "persistent_module",
        "an external object is no storage of a tensor",
    ),
    (
        "persistent_path",
        "lacks its entry archive/data/../../../etc/passwd",
    ),
    (
        "persistent_text",
        "an external object is no storage of a tensor",
    ),
    (
        "rebuild_from_type",
        "the pickle asks for `torch._tensor._rebuild_from_type_v2`",
    ),
    (
        "repeated",
        "tensor `a` repeats the 4 elements of its storage",
    ),
    ("stack_global", "the pickle asks for `os.system`"),
    ("storage_called", "a class is called as a function"),
    (
        "storage_elsewhere",
        "the pickle asks for `evil.FloatStorage`",
    ),
    ("subprocess", "the pickle asks for `subprocess.Popen`"),
    ("tensor", "tensor/data.pkl holds a tensor"),
    (
        "tensor_of_nothing",
        "a tensor has no storage, offset, sizes and strides",
    ),
    (
        "text_as_dict",
        "an operation takes values that are not there",
    ),
    ("text_called", "a text is called as a function"),
    ("top_number", "archive/data.pkl holds an integer"),
    ("torch_hub", "the pickle asks for `torch.hub.load`"),
    ("torch_load", "the pickle asks for `torch.load`"),
    (
        "torchscript",
        "is a TorchScript program, which rtune does not run",
    ),
    ("underflow", "an operation takes values that are not there"),
];

#[test]
fn everything_but_tensors_is_refused() {
    let found: Vec<String> = files("refused")
        .iter()
        .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    let mut table: Vec<&str> = REFUSED.iter().map(|(name, _)| *name).collect();
    table.sort_unstable();
    assert_eq!(found, table);
    for (name, expected) in REFUSED {
        let path = folder("refused").join(format!("{name}.bin"));
        let error = load_tensors(&path, &Device::Cpu).unwrap_err();
        let message = error.to_string();
        let place = format!("{}: ", path.display());
        assert!(error.is_input() && message.starts_with(&place), "{message}");
        assert!(message.contains(expected), "{name}: {message}");
    }
}

/// The file with the checksums of its entries set to 0, which is none.
fn without_checksums(mut bytes: Vec<u8>) -> Vec<u8> {
    let entries = bytes.windows(4).enumerate();
    let entries = entries.filter(|(_, window)| *window == b"PK\x01\x02");
    for at in entries.map(|(at, _)| at).collect::<Vec<_>>() {
        bytes[at + 16..at + 20].fill(0);
    }
    bytes
}

#[test]
fn damage_is_found_by_checksums() {
    let bytes = std::fs::read(folder("read").join("zip.bin")).unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("pytorch_model.bin");
    // The first numbers of the storage that several tensors share, and the name of one.
    let numbers: Vec<u8> = (0..12).flat_map(|n| (n as f32).to_le_bytes()).collect();
    let name = b"transposed";
    for (part, entry) in [(&numbers[..], "data/0"), (&name[..], "data.pkl")] {
        let mut damaged = bytes.clone();
        let mut windows = bytes.windows(part.len());
        let place = windows.position(|window| window == part).unwrap();
        damaged[place + 5] ^= 1;
        std::fs::write(&path, &damaged).unwrap();
        let message = load_tensors(&path, &Device::Cpu).unwrap_err().to_string();
        let start = "is damaged: the checksum of its entry ";
        assert!(
            message.contains(start) && message.contains(entry),
            "{message}"
        );
        assert!(message.ends_with("; download it again"), "{message}");
        std::fs::write(&path, without_checksums(damaged)).unwrap();
        load_tensors(&path, &Device::Cpu).unwrap();
    }
}

/// Reads a file that is changed at random, which must end, whatever the result.
fn read_changed(bytes: &[u8], random: &mut ChaCha8Rng, path: &Path) {
    let mut changed = bytes.to_vec();
    for _ in 0..random.random_range(1..8) {
        let place = random.random_range(0..changed.len());
        match random.random_range(0..4) {
            0 => changed[place] = random.random(),
            1 => changed[place] ^= 1 << random.random_range(0..8),
            2 => changed.truncate(place.max(1)),
            _ => {
                let end = changed.len().min(place + 8);
                changed[place..end].fill(0xff);
            }
        }
    }
    std::fs::write(path, changed).unwrap();
    let _ = load_tensors(path, &Device::Cpu);
}

#[test]
fn changed_files_are_read_or_refused() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("pytorch_model.bin");
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let all = [files("read"), files("refused")].concat();
    for source in all {
        let bytes = without_checksums(std::fs::read(source).unwrap());
        for _ in 0..100 {
            read_changed(&bytes, &mut random, &path);
        }
    }
}
