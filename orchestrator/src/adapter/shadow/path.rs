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

/// The longest path or link target that a guest may hand on, in bytes.
const MAX_PATH_BYTES: usize = 4096;
/// The longest name that a guest may hand on, in bytes.
const MAX_NAME_BYTES: usize = 255;

/// As [`is_safe`], for what comes out of a guest: also refuses names that some file system takes for `.git`, and
/// characters that turn text around or hide in it.
pub(super) fn is_harmless(path: &str) -> bool {
    let harmless = |name: &str| name.len() <= MAX_NAME_BYTES && !is_dot_git(name) && !name.chars().any(hides);
    is_safe(path) && path.len() <= MAX_PATH_BYTES && path.split('/').all(harmless)
}

/// As [`link_stays_inside`], for what comes out of a guest: `..` only at the start (behind a name, the name may itself be
/// a link), nothing that leads into `.git`, text that can be shown.
pub(super) fn link_is_harmless(path: &str, target: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(target) else { return false };
    let parts = || text.split('/').filter(|part| !part.is_empty() && *part != ".");
    let climbs_late = parts().skip_while(|part| *part == "..").any(|part| part == "..");
    !text.is_empty()
        && text.len() <= MAX_PATH_BYTES
        && !climbs_late
        && !text.chars().any(|c| c.is_control() || hides(c))
        && !parts().any(is_dot_git)
        && link_stays_inside(path, target)
}

/// Turns text around, or breaks lines unseen.
const fn hides(c: char) -> bool {
    matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// `.git` in any spelling that a case-insensitive, NTFS or HFS+ file system takes for it.
fn is_dot_git(name: &str) -> bool {
    let ignored = |c: &char| matches!(c, '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    let visible: String = name.chars().filter(|c| !ignored(c)).collect();
    let stem = visible.split(':').next().unwrap_or_default().trim_end_matches([' ', '.']).to_lowercase();
    stem == ".git" || stem == "git~1"
}

#[cfg(test)]
mod tests {
    use super::{is_harmless, is_safe, link_is_harmless, link_stays_inside, parents};

    #[test]
    fn what_a_guest_hands_on_is_judged_more_strictly() {
        for good in ["a", "a/b c", ".gitignore", "ä/ö", "a..b", "git~10"] {
            assert!(is_harmless(good), "{good}");
        }
        let long = "x".repeat(256);
        for bad in
            ["..", "a/.GIT/x", "git~1/config", "GIT~1", ".git./x", ".g\u{200d}it", ".git::$DATA", "a\u{202e}b", &long]
        {
            assert!(!is_harmless(bad), "{bad:?}");
        }
        for good in [&b"b"[..], b"../c", b"./x/y", b"../x/y"] {
            assert!(link_is_harmless("a/b", good), "{good:?}");
        }
        let bad: [&[u8]; 8] =
            [b"", b"x/../../c", b"x/..", b"../../c", b"/etc", b"../git~1/hooks", b"\xff", "a\u{2066}b".as_bytes()];
        for bad in bad {
            assert!(!link_is_harmless("a/b", bad), "{bad:?}");
        }
    }

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
