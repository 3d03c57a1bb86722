//! Where a password or token stands. Never it itself: it is read when it is needed, by whoever fetches.

use std::fmt;
use std::path::{Path, PathBuf};

use super::masked::{MASK, is_path, is_secret};

/// Where the credential of a list stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// In a file that others may not read.
    File(PathBuf),
    /// In one that was typed without anything that only a path has: it may be the credential itself.
    Bare(PathBuf),
    /// In the one of this name that the service manager hands over (`LoadCredential=` of systemd.exec(5)).
    Service(String),
}

/// How a [`Credential::Service`] begins where it is written.
const SERVICE: &str = "systemd:";

/// Not what stands there.
const ITSELF: &str = "that is a credential itself, which a configuration does not hold: write it into a file (and `./` before \
                      the path of one with a colon in it)";

impl Credential {
    /// Reads what was typed. `Err` says what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let Some(name) = text.strip_prefix(SERVICE) else {
            return if text.is_empty() {
                Err("an empty path".to_owned())
            } else if is_secret(text) {
                // Not what stands there.
                Err(ITSELF.to_owned())
            } else {
                Ok(if is_path(text) { Self::File(text.into()) } else { Self::Bare(text.into()) })
            };
        };
        let is_plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
        if name.is_empty() || name.starts_with('.') || !is_plain {
            return Err(match is_secret(name) {
                true => ITSELF.to_owned(),
                false => format!("`{name}` is not the name of a credential"),
            });
        }
        Ok(Self::Service(name.to_owned()))
    }

    /// The same, a path that is not absolute starting from `folder`.
    #[must_use]
    pub(crate) fn from(self, folder: &Path) -> Self {
        match self {
            Self::File(path) => Self::File(folder.join(path)),
            Self::Bare(path) => Self::Bare(folder.join(path)),
            service @ Self::Service(_) => service,
        }
    }

    /// The file of it, where it has one of its own.
    pub(crate) fn file(&self) -> Option<&Path> {
        match self {
            Self::File(path) | Self::Bare(path) => Some(path),
            Self::Service(_) => None,
        }
    }

    /// What it is called where something is wrong with it. What may be the credential itself is named when it is a file.
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::Bare(path) if !path.exists() => format!("{MASK} (it may be the credential itself)"),
            other => other.to_string(),
        }
    }
}

impl fmt::Display for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) | Self::Bare(path) => write!(f, "{}", path.display()),
            Self::Service(name) => write!(f, "{SERVICE}{name}"),
        }
    }
}
