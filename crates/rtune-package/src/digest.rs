use crate::PackageError;
use sha2::{Digest, Sha256};
use std::path::Path;

/// The SHA-256 of `bytes` in lowercase hexadecimal.
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex(Sha256::new_with_prefix(bytes))
}

/// The SHA-256 of a file in lowercase hexadecimal.
///
/// # Errors
/// Where the file cannot be read.
pub fn sha256_file(path: &Path) -> Result<String, PackageError> {
    let mut hasher = Sha256::new();
    let copied =
        std::fs::File::open(path).and_then(|mut file| std::io::copy(&mut file, &mut hasher));
    copied.map_err(PackageError::io(path))?;
    Ok(hex(hasher))
}

fn hex(hasher: Sha256) -> String {
    hasher
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
