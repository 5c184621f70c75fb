use crate::PackageError;
use sha2::{Digest, Sha256};
use std::path::Path;

/// The SHA-256 of `bytes` in lowercase hexadecimal.
pub fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The SHA-256 of a file in lowercase hexadecimal.
///
/// # Errors
/// Where the file cannot be read.
pub fn sha256_file(path: &Path) -> Result<String, PackageError> {
    Ok(sha256_hex(&std::fs::read(path).map_err(PackageError::io(path))?))
}
