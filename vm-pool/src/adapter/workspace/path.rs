//! Which paths and link targets of a guest are allowed.
//!
//! A guest is not believed: a path it hands over may be meant to escape the folder, to reach into `.git`, to break a
//! terminal or a line-based format. Whatever is refused here fails the attempt; nothing is repaired silently.

/// The longest path, in bytes.
pub const MAX_PATH_BYTES: usize = 4096;
/// The longest component, in bytes.
pub const MAX_COMPONENT_BYTES: usize = 255;

/// Checks a path that came out of a guest: relative, `/`-separated, UTF-8, without control characters, empty, `.` or `..`
/// components, and without a component that some file system takes for `.git`.
///
/// # Errors
/// What is wrong with it, in words.
pub fn check(path: &[u8]) -> Result<&str, &'static str> {
    let text = std::str::from_utf8(path).map_err(|_| "is not UTF-8")?;
    if text.is_empty() {
        return Err("is empty");
    }
    if text.len() > MAX_PATH_BYTES {
        return Err("is too long");
    }
    if text.starts_with('/') {
        return Err("is absolute");
    }
    if text.chars().any(is_unprintable) {
        return Err("has control characters");
    }
    for component in text.split('/') {
        match component {
            "" => return Err("has an empty component"),
            "." | ".." => return Err("has a . or .. component"),
            _ if component.len() > MAX_COMPONENT_BYTES => return Err("has a component that is too long"),
            _ if is_dot_git(component) => return Err("reaches into .git"),
            _ => {}
        }
    }
    Ok(text)
}

/// Checks the target of the symbolic link at `link` (an already checked path): relative, and inside the folder whatever
/// other links there are. That is why `..` is allowed at the start only: behind a name, the name may itself be a link.
///
/// # Errors
/// What is wrong with it, in words.
pub fn check_target(link: &str, target: &[u8]) -> Result<(), &'static str> {
    let text = std::str::from_utf8(target).map_err(|_| "links to a target that is not UTF-8")?;
    if text.is_empty() || text.len() > MAX_PATH_BYTES {
        return Err("links to an empty or overlong target");
    }
    if text.starts_with('/') {
        return Err("links to an absolute path");
    }
    if text.chars().any(is_unprintable) {
        return Err("links to a target with control characters");
    }
    let mut depth = link.matches('/').count();
    let mut named = false;
    for component in text.split('/') {
        match component {
            "" | "." => {}
            ".." if named => return Err("links to a target with .. behind a name"),
            ".." => depth = depth.checked_sub(1).ok_or("links out of the folder")?,
            _ if is_dot_git(component) => return Err("links into .git"),
            _ => named = true,
        }
    }
    Ok(())
}

/// A path as it can be shown: control characters, quotes and bytes that are not UTF-8 escaped, cut at 300 characters.
#[must_use]
pub fn shown(path: &[u8]) -> String {
    let mut text: String = path
        .utf8_chunks()
        .flat_map(|chunk| {
            let valid = chunk.valid().chars().flat_map(|c| {
                if is_unprintable(c) || c == '"' || c == '\\' { c.escape_default().to_string() } else { c.to_string() }
                    .chars()
                    .collect::<Vec<_>>()
            });
            let invalid = chunk.invalid().iter().flat_map(|b| format!("\\x{b:02x}").chars().collect::<Vec<_>>());
            valid.chain(invalid).collect::<Vec<_>>()
        })
        .take(301)
        .collect();
    if text.chars().count() > 300 {
        text.pop();
        text.push('…');
    }
    format!("\"{text}\"")
}

/// Control characters, and the invisible ones that turn text around or hide in it.
fn is_unprintable(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// `.git` in any spelling that a case-insensitive, NTFS or HFS+ file system takes for it.
fn is_dot_git(component: &str) -> bool {
    let visible: String = component
        .chars()
        .filter(
            |c| !matches!(c, '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'),
        )
        .collect();
    let stem = visible.split(':').next().unwrap_or_default().trim_end_matches([' ', '.']).to_lowercase();
    stem == ".git" || stem == "git~1"
}
