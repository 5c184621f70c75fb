use crate::Result;
use crate::weights::stored::WeightFile;
use std::sync::OnceLock;

/// The number of bytes that are read at once.
const PART: u64 = 1 << 20;

/// The checksum of a part of a file, CRC-32, which is compared once, when a tensor of that part is
/// read.
#[derive(Debug)]
pub(super) struct Checksum {
    /// The name of the part, for messages.
    pub(super) name: String,
    pub(super) start: u64,
    pub(super) size: u64,
    pub(super) stated: u32,
    pub(super) computed: OnceLock<u32>,
}

impl Checksum {
    /// Compares the checksum with that of the file's content.
    ///
    /// # Errors
    /// If it is another one, or the file cannot be read.
    pub(super) fn verify(&self, file: &WeightFile) -> Result<()> {
        let computed = match self.computed.get() {
            Some(computed) => *computed,
            None => self.compute(file)?,
        };
        compare(file, &self.name, self.stated, computed)?;
        // Another thread may have been faster, with the same number.
        let _ = self.computed.set(computed);
        Ok(())
    }

    fn compute(&self, file: &WeightFile) -> Result<u32> {
        let mut hasher = crc32fast::Hasher::new();
        let mut buffer = vec![0; PART.min(self.size) as usize];
        let (mut position, end) = (self.start, self.start + self.size);
        while position < end {
            let length = (end - position).min(PART);
            let part = &mut buffer[..length as usize];
            file.read_at(position, part)?;
            hasher.update(part);
            position += length;
        }
        Ok(hasher.finalize())
    }
}

/// Compares two checksums of a part of a file.
///
/// # Errors
/// If they differ.
pub(super) fn compare(file: &WeightFile, name: &str, stated: u32, computed: u32) -> Result<()> {
    match stated == computed {
        true => Ok(()),
        false => Err(file.problem(format!(
            "is damaged: the checksum of its entry {name} is {computed:08x} and should be \
             {stated:08x}; download it again"
        ))),
    }
}
