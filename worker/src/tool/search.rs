//! `search`: files by their names, lines by what is in them.

use std::{
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use globset::{GlobBuilder, GlobMatcher};
use ignore::WalkBuilder;
use regex::{Regex, RegexBuilder};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{
    bench::{Reply, Shop, bounded, with_files},
    call::ToolSpec,
    files::{look, looks_binary, must_be_file, open},
    input::Input,
};

pub(super) const NAME: &str = "search";
/// Matches of one call.
const MAX_MATCHES: u64 = 500;
const MATCHES: u64 = 100;
/// Searched of a file, in bytes.
const FILE_BYTES: u64 = 16 * 1024 * 1024;
/// Looked at of a line, in bytes.
const LINE_BYTES: u64 = 64 * 1024;
/// Shown of a line, in bytes.
const SHOWN_LINE_BYTES: usize = 300;
/// Shown altogether, in bytes.
const SHOWN_BYTES: usize = 24 * 1024;
/// The longest search.
const PATIENCE: Duration = Duration::from_secs(30);
/// What a pattern may grow to, in bytes.
const PATTERN_BYTES: usize = 4 * 1024 * 1024;

pub(super) fn spec() -> ToolSpec {
    ToolSpec {
        name: NAME,
        description: "Search files: `pattern` finds lines by a regular expression, `name` finds files by a glob (`*.rs`, `src/**/*.py`); \
                      with both, only files of that name are searched. What .gitignore names is left out unless `all` is true."
            .into(),
        input_schema: json!({
            "type": "object",
            "properties": {
                "pattern": {"type": "string", "description": "A regular expression (Rust syntax), matched line by line."},
                "name": {"type": "string", "description": "A glob; without a slash it is matched against file names, else against paths below `path`."},
                "path": {"type": "string", "description": "The folder or file to search. Default: the workspace."},
                "ignore_case": {"type": "boolean", "description": "Default false."},
                "context": {"type": "integer", "minimum": 0, "maximum": 5, "description": "Lines shown around a match. Default 0."},
                "limit": {"type": "integer", "minimum": 1, "maximum": MAX_MATCHES, "description": "The most matches. Default 100."},
                "all": {"type": "boolean", "description": "Ignored files, too. Default false."}
            },
            "additionalProperties": false
        }),
    }
}

struct Search {
    pattern: Option<Regex>,
    name: Option<(GlobMatcher, bool)>,
    root: PathBuf,
    shown: String,
    context: usize,
    limit: usize,
    all: bool,
    stop: CancellationToken,
}

pub(super) async fn call(shop: &Arc<Shop>, mut input: Input, stop: &CancellationToken) -> Result<Reply, String> {
    let pattern = input.optional_text("pattern")?.filter(|text| !text.is_empty());
    let name = input.optional_text("name")?.filter(|text| !text.is_empty());
    let shown = input.optional_text("path")?.filter(|text| !text.is_empty()).unwrap_or_else(|| ".".into());
    let ignore_case = input.flag("ignore_case")?;
    let context = input.number("context", 0..=5, 0)?;
    let limit = input.number("limit", 1..=MAX_MATCHES, MATCHES)?;
    let all = input.flag("all")?;
    input.finish()?;
    if pattern.is_none() && name.is_none() {
        return Err("`search` needs `pattern` (what is in the files) or `name` (what they are called)".into());
    }
    let regex = |text: String| {
        RegexBuilder::new(&text)
            .case_insensitive(ignore_case)
            .size_limit(PATTERN_BYTES)
            .build()
            .map_err(|error| format!("`pattern` is no regular expression: {error}"))
    };
    let glob = |text: String| {
        let glob = GlobBuilder::new(text.trim_start_matches("./"))
            .case_insensitive(ignore_case)
            .literal_separator(true)
            .build()
            .map_err(|error| format!("`name` is no glob: {error}"))?;
        Ok::<_, String>((glob.compile_matcher(), text.contains('/')))
    };
    let search = Search {
        pattern: pattern.map(regex).transpose()?,
        name: name.map(glob).transpose()?,
        root: if shown == "." { shop.workspace().to_path_buf() } else { shop.path(&shown)? },
        shown,
        context: usize::try_from(context).unwrap_or_default(),
        limit: usize::try_from(limit).unwrap_or_default(),
        all,
        // Whoever stops waiting ends the search.
        stop: stop.child_token(),
    };
    let _ended = search.stop.clone().drop_guard();
    with_files(stop, move || search.run()).await.map(Reply::text)
}

impl Search {
    fn run(&self) -> Result<String, String> {
        let metadata = look(&self.root, &self.shown)?;
        if !metadata.is_dir() {
            must_be_file(&metadata, &self.shown)?;
        }
        let until = Instant::now() + PATIENCE;
        let mut found = Found::default();
        let mut cut = None;
        let mut walk = WalkBuilder::new(&self.root);
        walk.hidden(false).require_git(false).follow_links(false).sort_by_file_path(Path::cmp);
        walk.filter_entry(|entry| entry.file_name() != ".git");
        if self.all {
            walk.ignore(false).git_ignore(false).git_global(false).git_exclude(false).parents(false);
        }
        for entry in walk.build() {
            if self.stop.is_cancelled() {
                return Err("stopped".into());
            }
            if Instant::now() > until {
                cut = Some(format!("given up after {} s; search a smaller folder", PATIENCE.as_secs()));
                break;
            }
            // What vanished or may not be read is passed over.
            let Ok(entry) = entry else { continue };
            let is_file = entry.file_type().is_some_and(|kind| kind.is_file());
            if !is_file && !(entry.depth() == 0 && metadata.is_file()) {
                continue;
            }
            let path = entry.path();
            if !self.is_named(path) {
                continue;
            }
            if self.pattern.is_some() {
                self.lines(path, &mut found);
            } else {
                found.matches += 1;
                found.push(self.name_of(path));
            }
            if found.matches >= self.limit || found.size > SHOWN_BYTES {
                cut = Some("there may be more: narrow the search, or raise `limit`".into());
                break;
            }
        }
        Ok(self.report(found, cut))
    }

    fn report(&self, found: Found, cut: Option<String>) -> String {
        let skipped = match found.skipped {
            0 => String::new(),
            count => format!("\n[{count} binary or unreadable files were passed over]"),
        };
        if found.matches == 0 {
            let hint = if self.all { "" } else { " (ignored files were left out)" };
            let gave_up = cut.map_or_else(String::new, |cut| format!(" ({cut})"));
            return format!("nothing found in {}{hint}{gave_up}{skipped}", self.shown);
        }
        let mut text = bounded(found.lines.join("\n"), SHOWN_BYTES + 4096, "narrow the search");
        if let Some(cut) = cut {
            text.push_str(&format!("\n[{} matches; {cut}]", found.matches));
        }
        text.push_str(&skipped);
        text
    }

    fn is_named(&self, path: &Path) -> bool {
        let Some((glob, whole)) = &self.name else { return true };
        if *whole {
            return path.strip_prefix(&self.root).is_ok_and(|below| glob.is_match(below));
        }
        path.file_name().is_some_and(|name| glob.is_match(name))
    }

    /// As the model would name it.
    fn name_of(&self, path: &Path) -> String {
        let below = path.strip_prefix(&self.root).unwrap_or(path);
        let text = match (self.shown.as_str(), below.as_os_str().is_empty()) {
            (shown, true) => shown.to_string(),
            (".", false) => below.display().to_string(),
            (shown, false) => format!("{}/{}", shown.trim_end_matches('/'), below.display()),
        };
        text.replace(|c: char| c.is_control(), "?")
    }

    /// Adds the lines of a file that match.
    fn lines(&self, path: &Path, found: &mut Found) {
        let Some(pattern) = &self.pattern else { return };
        let Ok((file, _)) = open(path, "") else {
            found.skipped += 1;
            return;
        };
        let mut from = BufReader::with_capacity(64 * 1024, file.take(FILE_BYTES));
        match from.fill_buf() {
            Ok(begin) if looks_binary(begin) => {
                found.skipped += 1;
                return;
            }
            Err(_) => {
                found.skipped += 1;
                return;
            }
            Ok(_) => {}
        }
        let name = self.name_of(path);
        let mut before: Vec<(usize, String)> = Vec::new();
        let mut after = 0;
        for number in 1.. {
            let Ok(Some(line)) = next_line(&mut from) else { return };
            if pattern.is_match(&line) {
                if found.matches >= self.limit || found.size > SHOWN_BYTES {
                    found.matches += 1;
                    return;
                }
                found.matches += 1;
                for (number, line) in before.drain(..) {
                    found.add(&name, number, '-', &line);
                }
                found.add(&name, number, ':', &line);
                after = self.context;
            } else if after > 0 {
                after -= 1;
                found.add(&name, number, '-', &line);
            } else if self.context > 0 {
                if before.len() == self.context {
                    before.remove(0);
                }
                before.push((number, line));
            }
            if number % 1024 == 0 && self.stop.is_cancelled() {
                return;
            }
        }
    }
}

#[derive(Default)]
struct Found {
    lines: Vec<String>,
    size: usize,
    matches: usize,
    skipped: usize,
}

impl Found {
    fn add(&mut self, name: &str, number: usize, mark: char, line: &str) {
        let end = line.floor_char_boundary(SHOWN_LINE_BYTES.min(line.len()));
        let more = if end < line.len() { " …" } else { "" };
        self.push(format!("{name}{mark}{number}{mark}{}{more}", line[..end].trim_end()));
    }

    fn push(&mut self, line: String) {
        self.size += line.len() + 1;
        self.lines.push(line);
    }
}

/// The next line; of a very long one, its beginning (the rest is passed over).
fn next_line(from: &mut impl BufRead) -> std::io::Result<Option<String>> {
    let mut line = Vec::new();
    let read = (&mut *from).take(LINE_BYTES).read_until(b'\n', &mut line)?;
    if read == 0 {
        return Ok(None);
    }
    if line.last() == Some(&b'\n') {
        line.pop();
    } else if read as u64 == LINE_BYTES {
        from.skip_until(b'\n')?;
    }
    Ok(Some(String::from_utf8_lossy(&line).into_owned()))
}
