//! The objects of a state dict's pickle.

use crate::weights::bin::pickle::Id;
use crate::weights::stored::Element;

/// A value of a pickle. Others are named by [`Id`], their place in a list.
#[derive(Debug)]
pub(super) enum Object {
    None,
    Bool(bool),
    Int(i64),
    Text(String),
    /// A value that no tensor has, in words.
    Opaque(&'static str),
    Tuple(Vec<Id>),
    List(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    Class(Class),
    /// The place of a storage in a list.
    Storage(u32),
    Tensor(Box<View>),
}

impl Object {
    /// The kind of the object, in words.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Bool(_) => "a truth value",
            Self::Int(_) => "an integer",
            Self::Text(_) => "a text",
            Self::Opaque(kind) => kind,
            Self::Tuple(_) => "a tuple",
            Self::List(_) => "a list",
            Self::Dict(_) => "a dictionary",
            Self::Class(_) => "a class",
            Self::Storage(_) => "a storage",
            Self::Tensor(_) => "a tensor",
        }
    }
}

/// The classes and functions that tensors are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    OrderedDict,
    Tensor,
    Parameter,
    Storage(Element),
}

/// The classes of storages by their names in the module `torch`.
const STORAGES: [(&str, Element); 12] = [
    ("DoubleStorage", Element::F64),
    ("FloatStorage", Element::F32),
    ("HalfStorage", Element::F16),
    ("BFloat16Storage", Element::BF16),
    ("LongStorage", Element::Other("I64", 8)),
    ("IntStorage", Element::Other("I32", 4)),
    ("ShortStorage", Element::Other("I16", 2)),
    ("CharStorage", Element::Other("I8", 1)),
    ("ByteStorage", Element::Other("U8", 1)),
    ("BoolStorage", Element::Other("BOOL", 1)),
    ("ComplexFloatStorage", Element::Other("C64", 8)),
    ("ComplexDoubleStorage", Element::Other("C128", 16)),
];

impl Class {
    /// The class of a name, or the beginning of a message about another one.
    pub(super) fn named(module: &str, name: &str) -> Result<Self, String> {
        let storage = STORAGES.iter().find(|(known, _)| *known == name);
        match (module, name, storage) {
            ("collections", "OrderedDict", _) => Ok(Self::OrderedDict),
            ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2", _) => Ok(Self::Tensor),
            ("torch._utils", "_rebuild_parameter", _) => Ok(Self::Parameter),
            ("torch", _, Some((_, element))) => Ok(Self::Storage(*element)),
            _ => {
                let name = format!("{module}.{name}");
                let name: String = name.chars().take(80).flat_map(char::escape_debug).collect();
                Err(format!("the pickle asks for `{name}`, "))
            }
        }
    }
}

/// A storage that a pickle names.
#[derive(Debug)]
pub(super) struct Storage {
    pub(super) key: String,
    pub(super) element: Element,
    pub(super) count: u64,
}

/// A tensor: a view of a storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct View {
    pub(super) storage: u32,
    pub(super) offset: u64,
    pub(super) dims: Vec<u64>,
    pub(super) strides: Vec<u64>,
}

/// The largest number of dimensions. No weight has as many.
const MAX_DIMENSIONS: usize = 8;

/// A tensor from the arguments of PyTorch's function: storage, offset, size, strides, and others
/// that a model does not need.
pub(super) fn tensor(objects: &[Object], arguments: &[Id]) -> Result<View, String> {
    let wrong = "a tensor has no storage, offset, sizes and strides, so the pickle is damaged; \
                 download it again";
    let object = |id: Id| objects.get(id as usize);
    let numbers = |id: Id| {
        let Some(Object::Tuple(ids) | Object::List(ids)) = object(id) else {
            return None;
        };
        let ids = (ids.len() <= MAX_DIMENSIONS).then_some(ids)?;
        let number = |id: &Id| match object(*id) {
            Some(Object::Int(n)) => u64::try_from(*n).ok(),
            _ => None,
        };
        ids.iter().map(number).collect::<Option<Vec<u64>>>()
    };
    let [storage, offset, size, strides, ..] = *arguments else {
        return Err(wrong.to_owned());
    };
    match (
        object(storage),
        object(offset),
        numbers(size),
        numbers(strides),
    ) {
        (Some(Object::Storage(storage)), Some(Object::Int(offset)), Some(dims), Some(strides))
            if *offset >= 0 && dims.len() == strides.len() =>
        {
            Ok(View {
                storage: *storage,
                offset: *offset as u64,
                dims,
                strides,
            })
        }
        _ => Err(wrong.to_owned()),
    }
}

/// A dictionary from a list of pairs, as Python 2 writes it. The list is used up, so that a pickle
/// cannot copy a long list many times.
pub(super) fn dict_of(objects: &mut [Object], list: Id) -> Option<Object> {
    let Some(Object::List(items)) = objects.get_mut(list as usize) else {
        return None;
    };
    let items = std::mem::take(items);
    let pair = |id: Id| match objects.get(id as usize) {
        Some(Object::List(pair) | Object::Tuple(pair)) => match pair[..] {
            [key, value] => Some((key, value)),
            _ => None,
        },
        _ => None,
    };
    items
        .into_iter()
        .map(pair)
        .collect::<Option<Vec<_>>>()
        .map(Object::Dict)
}
