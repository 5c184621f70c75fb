//! The pickle of a state dict, without Python: a machine for the operations that `torch.save`
//! writes for tensors. It has no operation that imports or calls anything; what tensors are made of
//! are values of [`Object`], and every other name is refused.
//!
//! Objects are numbers into one list, so neither their depth nor a cycle can exhaust the stack, and
//! the number of operations and objects is limited, so memory cannot run away.

use crate::weights::bin::objects::{Class, Object, Storage, dict_of, tensor};
use std::collections::HashMap;

/// The largest numbers of operations and of objects. A state dict has about 40 and 15 of them for
/// each tensor.
const MAX_OPERATIONS: usize = 4_000_000;
const MAX_OBJECTS: usize = 1_000_000;

/// The reason why a pickle is not read, and the byte at which it was found.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) offset: usize,
    pub(super) problem: String,
}

pub(super) type Id = u32;

/// The first objects, which need no place of their own.
const NONE: Id = 0;
const TRUE: Id = 1;
const FALSE: Id = 2;
const EMPTY: Id = 3;

/// The result of a pickle.
#[derive(Debug)]
pub(super) struct Pickle {
    pub(super) objects: Vec<Object>,
    pub(super) storages: Vec<Storage>,
    pub(super) top: Id,
    /// The position behind the last operation.
    pub(super) end: usize,
}

impl Pickle {
    pub(super) fn object(&self, id: Id) -> &Object {
        self.objects.get(id as usize).unwrap_or(&Object::None)
    }
}

/// Runs the pickle that begins at a position.
pub(super) fn run(bytes: &[u8], start: usize) -> Result<Pickle, Refusal> {
    let mut machine = Machine {
        bytes,
        at: start,
        begin: start,
        objects: vec![
            Object::None,
            Object::Bool(true),
            Object::Bool(false),
            Object::Tuple(Vec::new()),
        ],
        storages: Vec::new(),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
    };
    let result = machine.run();
    result.map_err(|problem| Refusal {
        offset: machine.begin,
        problem,
    })?;
    match machine.stack.pop() {
        Some(top) => Ok(Pickle {
            objects: machine.objects,
            storages: machine.storages,
            top,
            end: machine.at,
        }),
        None => Err(Refusal {
            offset: machine.begin,
            problem: UNDERFLOW.to_owned(),
        }),
    }
}

const TRUNCATED: &str = "the pickle ends within an operation; download it again";
const UNDERFLOW: &str = "an operation takes values that are not there, so the pickle is damaged; \
                         download it again";
const SIZE: &str = "the pickle has more operations than one of tensors can have, so this is no \
                    file of weights";

struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    /// The position of the current operation.
    begin: usize,
    objects: Vec<Object>,
    storages: Vec<Storage>,
    stack: Vec<Id>,
    /// The heights of the stack at its marks.
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
}

type Step<T = ()> = Result<T, String>;

impl Machine<'_> {
    fn run(&mut self) -> Step {
        for _ in 0..MAX_OPERATIONS {
            self.begin = self.at;
            let code = self.take(1)?[0];
            if code == b'.' {
                return Ok(());
            }
            self.operation(code)?;
        }
        Err(SIZE.to_owned())
    }

    fn operation(&mut self, code: u8) -> Step {
        match code {
            // Protocol, and the length of a frame, which is a hint.
            0x80 => self.take(1).map(|_| ()),
            0x95 => self.take(8).map(|_| ()),
            b'N' => self.push(NONE),
            0x88 => self.push(TRUE),
            0x89 => self.push(FALSE),
            b')' => self.push(EMPTY),
            b'K' | b'M' | b'J' | 0x8a => self.integer(code),
            b'G' => {
                self.take(8)?;
                self.create(Object::Opaque("a number"))
            }
            b'U' | 0x8c | b'X' | b'T' => self.text(code),
            b'}' => self.create(Object::Dict(Vec::new())),
            b']' => self.create(Object::List(Vec::new())),
            b'(' => {
                self.marks.push(self.stack.len());
                Ok(())
            }
            b't' => {
                let items = self.since_mark()?;
                self.create(Object::Tuple(items))
            }
            0x85..=0x87 => {
                let items = self.pop_many(usize::from(code - 0x84))?;
                self.create(Object::Tuple(items))
            }
            b'q' | b'r' | 0x94 | b'h' | b'j' => self.memory(code),
            b'a' | b'e' | b's' | b'u' => self.collect(code),
            b'c' => self.global(),
            0x93 => self.stack_global(),
            b'R' => self.reduce(),
            b'b' => self.build(),
            b'Q' => self.persistent(),
            other => Err(format!(
                "the operation {} is not one of those that PyTorch writes for tensors, {REMEDY}",
                name_of(other)
            )),
        }
    }

    fn integer(&mut self, code: u8) -> Step {
        let size = match code {
            b'K' => 1,
            b'M' => 2,
            b'J' => 4,
            _ => usize::from(self.take(1)?[0]),
        };
        let bytes = self.take(size)?;
        if size > 8 {
            return self.create(Object::Opaque("a large integer"));
        }
        let mut wide = [0; 8];
        wide[..size].copy_from_slice(bytes);
        let is_signed = matches!(code, b'J' | 0x8a);
        if is_signed && bytes.last().is_some_and(|byte| byte & 0x80 != 0) {
            wide[size..].fill(0xff);
        }
        self.create(Object::Int(i64::from_le_bytes(wide)))
    }

    fn text(&mut self, code: u8) -> Step {
        let size = match code {
            b'U' | 0x8c => usize::from(self.take(1)?[0]),
            _ => self.number()? as usize,
        };
        let text = String::from_utf8_lossy(self.take(size)?).into_owned();
        self.create(Object::Text(text))
    }

    fn memory(&mut self, code: u8) -> Step {
        let place = match code {
            b'q' | b'h' => u32::from(self.take(1)?[0]),
            b'r' | b'j' => self.number()?,
            _ => self.memo.len() as u32,
        };
        if matches!(code, b'h' | b'j') {
            let id = self.memo.get(&place).copied();
            return self.push(id.ok_or(UNDERFLOW)?);
        }
        let top = self.stack.last().copied().ok_or(UNDERFLOW)?;
        self.memo.insert(place, top);
        Ok(())
    }

    /// Adds items to the list or dictionary below them.
    fn collect(&mut self, code: u8) -> Step {
        let items = match code {
            b'a' => self.pop_many(1)?,
            b's' => self.pop_many(2)?,
            _ => self.since_mark()?,
        };
        let target = self.stack.last().copied().ok_or(UNDERFLOW)?;
        match (self.objects.get_mut(target as usize), code) {
            (Some(Object::List(list)), b'a' | b'e') => list.extend(items),
            (Some(Object::Dict(dict)), b's' | b'u') => {
                let (pairs, rest) = items.as_chunks::<2>();
                if !rest.is_empty() {
                    return Err(UNDERFLOW.to_owned());
                }
                dict.extend(pairs.iter().map(|[key, value]| (*key, *value)));
            }
            _ => return Err(UNDERFLOW.to_owned()),
        }
        Ok(())
    }

    fn global(&mut self) -> Step {
        let (module, name) = (self.line()?, self.line()?);
        let class = Class::named(&module, &name).map_err(|reason| format!("{reason}{REMEDY}"))?;
        self.create(Object::Class(class))
    }

    fn stack_global(&mut self) -> Step {
        let names = self.pop_many(2)?;
        let [Object::Text(module), Object::Text(name)] = [0, 1].map(|i| self.object(names[i]))
        else {
            return Err(UNDERFLOW.to_owned());
        };
        let class = Class::named(module, name).map_err(|reason| format!("{reason}{REMEDY}"))?;
        self.create(Object::Class(class))
    }

    fn reduce(&mut self) -> Step {
        let taken = self.pop_many(2)?;
        let arguments = match self.object(taken[1]) {
            Object::Tuple(arguments) if arguments.len() <= 8 => arguments.clone(),
            _ => return Err(format!("a call has no list of arguments, {REMEDY}")),
        };
        let made = match self.object(taken[0]) {
            Object::Class(Class::OrderedDict) => match arguments.first() {
                None => Object::Dict(Vec::new()),
                Some(list) => dict_of(&mut self.objects, *list).ok_or(UNDERFLOW)?,
            },
            Object::Class(Class::Tensor) => {
                Object::Tensor(Box::new(tensor(&self.objects, &arguments)?))
            }
            Object::Class(Class::Parameter) => {
                let data = arguments.first().map(|id| self.object(*id));
                match data {
                    Some(Object::Tensor(view)) => Object::Tensor(view.clone()),
                    _ => return Err(UNDERFLOW.to_owned()),
                }
            }
            other => {
                let kind = other.kind();
                return Err(format!("{kind} is called as a function, {REMEDY}"));
            }
        };
        self.create(made)
    }

    /// The attributes of an object. State dicts have some, which are not tensors.
    fn build(&mut self) -> Step {
        self.pop_many(1)?;
        let target = self.stack.last().copied().ok_or(UNDERFLOW)?;
        match self.object(target) {
            Object::Dict(_) => Ok(()),
            other => Err(format!("attributes are set on {}, {REMEDY}", other.kind())),
        }
    }

    /// A storage: the word, its class, its key, its device and its number of elements.
    fn persistent(&mut self) -> Step {
        let id = self.pop_many(1)?[0];
        let wrong = || format!("an external object is no storage of a tensor, {REMEDY}");
        let Object::Tuple(parts) = self.object(id) else {
            return Err(wrong());
        };
        let parts: Vec<&Object> = parts.iter().take(6).map(|id| self.object(*id)).collect();
        let (word, class, key, count) = match parts[..] {
            [word, class, key, _, count] | [word, class, key, _, count, Object::None] => {
                (word, class, key, count)
            }
            _ => return Err(wrong()),
        };
        let (
            Object::Text(word),
            Object::Class(Class::Storage(element)),
            Object::Text(key),
            Object::Int(count),
        ) = (word, class, key, count)
        else {
            return Err(wrong());
        };
        let count = u64::try_from(*count).map_err(|_| wrong())?;
        if word != "storage" || key.len() > LONGEST_KEY {
            return Err(wrong());
        }
        let storage = Storage {
            key: key.clone(),
            element: *element,
            count,
        };
        let index = self.storages.len() as u32;
        self.storages.push(storage);
        self.create(Object::Storage(index))
    }

    fn object(&self, id: Id) -> &Object {
        self.objects.get(id as usize).unwrap_or(&Object::None)
    }

    fn create(&mut self, object: Object) -> Step {
        if self.objects.len() >= MAX_OBJECTS {
            return Err(SIZE.to_owned());
        }
        let id = self.objects.len() as Id;
        self.objects.push(object);
        self.push(id)
    }

    fn push(&mut self, id: Id) -> Step {
        self.stack.push(id);
        Ok(())
    }

    /// Takes the last values of the stack, not beyond its last mark.
    fn pop_many(&mut self, count: usize) -> Step<Vec<Id>> {
        let floor = self.marks.last().copied().unwrap_or(0);
        let start = self.stack.len().checked_sub(count);
        let start = start.filter(|start| *start >= floor).ok_or(UNDERFLOW)?;
        Ok(self.stack.split_off(start))
    }

    fn since_mark(&mut self) -> Step<Vec<Id>> {
        let mark = self.marks.pop().ok_or(UNDERFLOW)?;
        Ok(self.stack.split_off(mark.min(self.stack.len())))
    }

    fn take(&mut self, count: usize) -> Step<&[u8]> {
        let end = self.at.checked_add(count);
        let taken = end.and_then(|end| self.bytes.get(self.at..end));
        let taken = taken.ok_or(TRUNCATED)?;
        self.at += count;
        Ok(taken)
    }

    fn number(&mut self) -> Step<u32> {
        let bytes = self.take(4)?;
        Ok(bytes
            .iter()
            .rev()
            .fold(0, |n, byte| n << 8 | u32::from(*byte)))
    }

    fn line(&mut self) -> Step<String> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let end = rest.iter().take(LONGEST_NAME).position(|b| *b == b'\n');
        let line = String::from_utf8_lossy(&rest[..end.ok_or(TRUNCATED)?]).into_owned();
        self.at += end.unwrap_or(0) + 1;
        Ok(line)
    }
}

/// The longest name of a class, and the longest key of a storage.
const LONGEST_NAME: usize = 512;
const LONGEST_KEY: usize = 64;

/// The end of every refusal of something that is not a tensor.
const REMEDY: &str = "and rtune reads only tensors from a pickle, because the rest can run any \
                      program; if you trust the file, load it in Python and save the state dict \
                      of the model, or else delete it";

/// The name of an operation of Python's `pickletools`.
fn name_of(code: u8) -> String {
    let name = match code {
        b'i' => "INST",
        b'o' => "OBJ",
        b'P' => "PERSID",
        b'S' => "STRING",
        b'V' => "UNICODE",
        b'I' => "INT",
        b'L' => "LONG",
        b'F' => "FLOAT",
        b'0' => "POP",
        b'1' => "POP_MARK",
        b'2' => "DUP",
        b'd' => "DICT",
        b'l' => "LIST",
        b'p' => "PUT",
        b'g' => "GET",
        b'B' => "BINBYTES",
        b'C' => "SHORT_BINBYTES",
        0x81 => "NEWOBJ",
        0x82 => "EXT1",
        0x83 => "EXT2",
        0x84 => "EXT4",
        0x8b => "LONG4",
        0x8d => "BINUNICODE8",
        0x8e => "BINBYTES8",
        0x8f => "EMPTY_SET",
        0x90 => "ADDITEMS",
        0x91 => "FROZENSET",
        0x92 => "NEWOBJ_EX",
        0x96 => "BYTEARRAY8",
        0x97 => "NEXT_BUFFER",
        0x98 => "READONLY_BUFFER",
        other => return format!("{other:#04x}"),
    };
    name.to_owned()
}
