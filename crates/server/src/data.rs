//! The data folder: everything a node keeps, for its user's eyes only.

use std::fs::{DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

/// Rights of folders: their owner only.
const MODE: u32 = 0o700;

/// Bits that let others in.
const OTHERS: u32 = 0o077;

/// A data folder that is there and can be written to.
#[derive(Debug, Clone)]
pub struct DataFolder(PathBuf);

impl DataFolder {
    /// Opens the folder, and makes it if it is not there.
    ///
    /// # Errors
    /// It cannot be made, is no folder, or cannot be written to.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let path = std::path::absolute(path)
            .with_context(|| format!("cannot make {} absolute", path.display()))?;
        let remedy = "name another with --data, or make it writable for this user";
        make(&path)
            .with_context(|| format!("cannot make the data folder {}; {remedy}", path.display()))?;
        let found = std::fs::metadata(&path)
            .with_context(|| format!("cannot look at the data folder {}", path.display()))?;
        if !found.is_dir() {
            bail!(
                "the data folder {} is not a folder; {remedy}",
                path.display()
            );
        }
        if found.mode() & OTHERS != 0 {
            // It holds keys and messages.
            std::fs::set_permissions(&path, Permissions::from_mode(MODE)).with_context(|| {
                format!(
                    "others may look into the data folder {}, and it cannot be closed to them; \
                     it must belong to the user the node runs as",
                    path.display()
                )
            })?;
        }
        tempfile_in(&path).with_context(|| {
            format!(
                "cannot write to the data folder {}; {remedy}",
                path.display()
            )
        })?;
        Ok(Self(path))
    }

    /// The folder, absolute.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// A folder within it, made if it is not there.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn folder(&self, name: &str) -> anyhow::Result<PathBuf> {
        let path = self.0.join(name);
        make(&path).with_context(|| format!("cannot make the folder {}", path.display()))?;
        Ok(path)
    }
}

fn make(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(MODE).create(path)
}

/// Shows that files can be made here, and leaves none.
fn tempfile_in(folder: &Path) -> io::Result<()> {
    let probe = folder.join(format!(".probe-{}", std::process::id()));
    std::fs::write(&probe, b"")?;
    std::fs::remove_file(&probe)
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests panic on failure"
)]
mod tests {
    use super::*;

    #[test]
    fn it_is_made_for_its_user_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b");
        let data = DataFolder::open(&path).unwrap();
        let mode = std::fs::metadata(data.path()).unwrap().mode();
        assert_eq!(mode & 0o777, MODE);
        assert_eq!(
            std::fs::read_dir(&path).unwrap().count(),
            0,
            "no probe stays"
        );
    }

    #[test]
    fn one_that_others_may_look_into_is_closed() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        DataFolder::open(folder.path()).unwrap();
        assert_eq!(std::fs::metadata(folder.path()).unwrap().mode() & OTHERS, 0);
    }

    #[test]
    fn a_file_in_its_place_is_told_with_the_remedy() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data");
        std::fs::write(&path, "").unwrap();
        let told = format!("{:#}", DataFolder::open(&path).unwrap_err());
        assert!(told.contains(&path.display().to_string()), "{told}");
        assert!(told.contains("name another with --data"), "{told}");
    }
}
