use crate::PackageError;
use sha2::{Digest, Sha256};
use std::path::Path;

/// Returns the SHA-256 of `bytes` in lowercase hexadecimal.
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex(Sha256::new_with_prefix(bytes))
}

/// Returns the SHA-256 of a file in lowercase hexadecimal.
///
/// # Errors
/// If the file cannot be read.
pub fn sha256_file(path: &Path) -> Result<String, PackageError> {
    let mut hasher = Sha256::new();
    let copied =
        std::fs::File::open(path).and_then(|mut file| std::io::copy(&mut file, &mut hasher));
    copied.map_err(PackageError::read(path))?;
    Ok(hex(hasher))
}

fn hex(hasher: Sha256) -> String {
    hasher
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors of FIPS 180-4.
    #[test]
    fn digests_are_those_of_the_standard() {
        let cases: [(&[u8], &str); 2] = [
            (
                b"",
                "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            ),
            (
                b"abc",
                "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            ),
        ];
        let file = tempfile::NamedTempFile::new().unwrap();
        for (bytes, expected) in cases {
            std::fs::write(file.path(), bytes).unwrap();
            assert_eq!(sha256_hex(bytes), expected);
            assert_eq!(sha256_file(file.path()).unwrap(), expected);
        }
    }

    #[test]
    fn missing_file_is_an_error_that_names_it() {
        let error = sha256_file(Path::new("absent")).unwrap_err();
        assert_eq!(error.to_string(), "absent: cannot be read");
        assert!(std::error::Error::source(&error).is_some());
    }
}
