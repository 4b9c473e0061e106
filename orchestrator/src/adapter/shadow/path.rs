//! Paths within a folder, as text.

/// Temporary files of an apply start with this; a crash may leave one behind.
pub(super) const TEMP_PREFIX: &str = ".baton-tmp-";

/// A relative path of plain names: no empty part, `.`, `..` or `.git` in any case, no control character.
pub(super) fn is_safe(path: &str) -> bool {
    !path.is_empty() && path.split('/').all(is_safe_name)
}

fn is_safe_name(name: &str) -> bool {
    !name.is_empty()
        && name != "."
        && name != ".."
        && !name.eq_ignore_ascii_case(".git")
        && !name.chars().any(char::is_control)
}

/// The folders above a path, nearest first: `a/b/c` gives `a/b`, `a`.
pub(super) fn parents(path: &str) -> impl Iterator<Item = &str> {
    let mut rest = path;
    std::iter::from_fn(move || {
        rest = rest.rsplit_once('/')?.0;
        Some(rest)
    })
}

/// Whether a link at `path` with this target stays in the folder, by its text alone.
pub(super) fn link_stays_inside(path: &str, target: &[u8]) -> bool {
    if target.first() == Some(&b'/') {
        return false;
    }
    let mut depth = path.matches('/').count();
    for part in target.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => match depth.checked_sub(1) {
                Some(less) => depth = less,
                None => return false,
            },
            _ => depth += 1,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::{is_safe, link_stays_inside, parents};

    #[test]
    fn only_plain_relative_paths_are_safe() {
        for good in ["a", "a/b c", ".gitignore", "ä/ö", "a..b"] {
            assert!(is_safe(good), "{good}");
        }
        for bad in ["", "/a", "a/", "a//b", "..", "a/../b", "./a", ".git/config", "a/.GIT/x", "a\nb", "a\u{7f}"] {
            assert!(!is_safe(bad), "{bad:?}");
        }
    }

    #[test]
    fn a_link_is_judged_by_where_it_could_lead() {
        assert!(link_stays_inside("a", b"b"));
        assert!(link_stays_inside("a/b", b"../c"));
        assert!(link_stays_inside("a/b", b"x/../../c"));
        assert!(!link_stays_inside("a", b"../c"));
        assert!(!link_stays_inside("a/b", b"../../c"));
        assert!(!link_stays_inside("a/b", b"/etc/passwd"));
        assert!(!link_stays_inside("a/b", b"../../folder/c"));
    }

    #[test]
    fn parents_come_nearest_first() {
        assert_eq!(parents("a/b/c").collect::<Vec<_>>(), ["a/b", "a"]);
        assert_eq!(parents("a").count(), 0);
    }
}
