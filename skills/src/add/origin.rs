//! What a source is: a folder, an archive or a git repository.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use crate::finding::{Class, SkillError};

/// Where skills come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    Folder { path: PathBuf },
    Archive { path: PathBuf, sub: Option<String> },
    Git { url: String, sub: Option<String>, reference: Option<String> },
    Proposal { by: String },
}

/// Endings of archives.
pub(super) const ARCHIVES: [&str; 4] = [".tar", ".tar.gz", ".tgz", ".zip"];

impl Origin {
    pub(super) fn subfolder(&self) -> Option<&str> {
        match self {
            Self::Folder { .. } | Self::Proposal { .. } => None,
            Self::Archive { sub, .. } | Self::Git { sub, .. } => sub.as_deref(),
        }
    }

    /// As the lockfile has it, for a skill in a folder below.
    pub(super) fn with(&self, below: &str) -> String {
        let join = |sub: &Option<String>| {
            let parts: Vec<&str> =
                sub.iter().map(String::as_str).chain([below]).filter(|part| !part.is_empty()).collect();
            if parts.is_empty() { String::new() } else { format!("#{}", parts.join("/")) }
        };
        match self {
            Self::Folder { path } => format!("folder:{}", path.join(below).display()).trim_end_matches('/').to_owned(),
            Self::Proposal { by } => format!("proposal:{by}"),
            Self::Archive { path, sub } => format!("archive:{}{}", path.display(), join(sub)),
            Self::Git { url, sub, reference } => {
                let (url, place) = (without_secret(url), join(sub));
                match reference {
                    Some(reference) => format!("git:{url}{}@{reference}", if place.is_empty() { "#" } else { &place }),
                    None => format!("git:{url}{place}"),
                }
            }
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.with(""))
    }
}

/// Reads a source as a person writes it.
pub(super) fn parse(source: &str) -> Result<Origin, SkillError> {
    let invalid = |code, message: String, hint: &str| Err(SkillError::new(Class::Invalid, code, message).hint(hint));
    let path = Path::new(source);
    if path.is_dir() {
        let path = path.canonicalize().map_err(SkillError::io(format!("read {source}")))?;
        return Ok(Origin::Folder { path });
    }
    let (address, sub, reference) = split(source);
    let is_archive = |text: &str| ARCHIVES.iter().any(|ending| text.to_lowercase().ends_with(ending));
    if Path::new(&address).is_file() {
        if !is_archive(&address) {
            let hint = "a folder, a .tar, .tar.gz, .tgz or .zip, or the URL of a git repository";
            return invalid("unknown_source", format!("{address} is no archive that can be read"), hint);
        }
        let path = Path::new(&address).canonicalize().map_err(SkillError::io(format!("read {address}")))?;
        return Ok(Origin::Archive { path, sub });
    }
    let scheme = address.split_once("://").map(|(scheme, _)| scheme.to_lowercase());
    let is_scp = scheme.is_none()
        && !address.contains("::")
        && address
            .split_once(':')
            .is_some_and(|(host, path)| host.contains('@') && !host.contains('/') && !path.is_empty());
    let has_odd = address.starts_with('-') || address.chars().any(|c| c.is_control() || c.is_whitespace());
    match scheme.as_deref() {
        _ if has_odd => invalid("unknown_source", format!("{address:?} is no address"), "write it without blanks"),
        Some("https") if is_archive(&address) => {
            let hint = "fetch it yourself, look at its digest, then add the file";
            invalid("remote_archive", format!("{address} is an archive on another machine"), hint)
        }
        Some("https" | "ssh" | "file") => Ok(Origin::Git { url: address, sub, reference }),
        None if is_scp => Ok(Origin::Git { url: address, sub, reference }),
        Some(scheme) => {
            let hint = "use https, ssh or file: others are not authentic, or run programs";
            invalid("unsafe_protocol", format!("skills are not fetched over {scheme:?}"), hint)
        }
        None if address.contains("::") => {
            let hint = "use https, ssh or file: others are not authentic, or run programs";
            invalid("unsafe_protocol", format!("{address} would run a helper program of git"), hint)
        }
        None => Err(SkillError::new(Class::NotFound, "no_source", format!("there is no {address}"))
            .hint("a folder, a .tar, .tar.gz, .tgz or .zip, or the URL of a git repository")),
    }
}

/// A URL without what is before the host's `@`, if that has a password or a token in it: lockfiles are shared.
fn without_secret(url: &str) -> String {
    match url.split_once("://") {
        Some((scheme @ "https", rest)) => {
            let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
            let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
            format!("{scheme}://{host}/{path}")
        }
        _ => url.to_owned(),
    }
}

/// `ADDRESS[#SUBFOLDER][@REF]`. Without a `#`, an `@` counts only behind the last `/`, and not before a `:`.
fn split(source: &str) -> (String, Option<String>, Option<String>) {
    let some = |text: &str| Some(text.trim_matches('/').to_owned()).filter(|text| !text.is_empty());
    if let Some((address, fragment)) = source.split_once('#') {
        let (sub, reference) = match fragment.rsplit_once('@') {
            Some((sub, reference)) => (sub, some(reference)),
            None => (fragment, None),
        };
        return (address.to_owned(), some(sub), reference);
    }
    let tail = source.rfind('/').map_or(0, |at| at + 1);
    match source.get(tail..).and_then(|last| last.rfind('@')).map(|at| tail + at) {
        Some(at) if at > tail && !source.get(at..).unwrap_or_default().contains(':') => {
            (source.get(..at).unwrap_or_default().to_owned(), None, some(source.get(at + 1..).unwrap_or_default()))
        }
        _ => (source.to_owned(), None, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn git(source: &str) -> (String, Option<String>, Option<String>) {
        match parse(source).unwrap() {
            Origin::Git { url, sub, reference } => (url, sub, reference),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn addresses_are_taken_apart() {
        let some = |text: &str| Some(text.to_owned());
        let url = "https://example.org/a/b.git".to_owned();
        assert_eq!(git("https://example.org/a/b.git"), (url.clone(), None, None));
        assert_eq!(git("https://example.org/a/b.git@v1.2"), (url.clone(), None, some("v1.2")));
        assert_eq!(git("https://example.org/a/b.git#skills/x"), (url.clone(), some("skills/x"), None));
        assert_eq!(git("https://example.org/a/b.git#skills/x@main"), (url.clone(), some("skills/x"), some("main")));
        assert_eq!(git("https://example.org/a/b.git#@feature/x"), (url, None, some("feature/x")));
        assert_eq!(git("git@example.org:a/b.git"), ("git@example.org:a/b.git".to_owned(), None, None));
        assert_eq!(git("git@example.org:a/b.git@v1"), ("git@example.org:a/b.git".to_owned(), None, some("v1")));
        assert_eq!(git("ssh://git@example.org/a"), ("ssh://git@example.org/a".to_owned(), None, None));
        let text = parse("https://example.org/b#s@v1").unwrap().with("x");
        assert_eq!(text, "git:https://example.org/b#s/x@v1");
        let text = parse("https://ann:token@example.org/b").unwrap().with("");
        assert_eq!(text, "git:https://example.org/b", "a lockfile is shared");
    }

    #[test]
    fn what_is_unsafe_or_nothing_is_refused() {
        for (source, code) in [
            ("http://example.org/a", "unsafe_protocol"),
            ("git://example.org/a", "unsafe_protocol"),
            ("ext::sh -c touch% /tmp/x", "unknown_source"),
            ("ext::sh", "unsafe_protocol"),
            ("--upload-pack=x", "unknown_source"),
            ("https://example.org/a.tar.gz", "remote_archive"),
            ("/nowhere/at/all", "no_source"),
        ] {
            assert_eq!(parse(source).unwrap_err().code, code, "{source}");
        }
    }
}
