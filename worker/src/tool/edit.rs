//! `edit`: one text in a file for another.

use std::sync::Arc;

use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{
    bench::{Reply, Shop, bounded, with_files},
    call::ToolSpec,
    files::{FILE_BYTES, check_fresh, load_text, note, trouble},
    input::Input,
    write::put,
};

pub(super) const NAME: &str = "edit";
/// Lines shown around the change.
const AROUND: usize = 3;
/// Shown of the change, in bytes.
const SHOWN_BYTES: usize = 4 * 1024;
/// Places named when there are several.
const PLACES: usize = 8;

pub(super) fn spec() -> ToolSpec {
    ToolSpec {
        name: NAME,
        description: "Replace `old` by `new` in a file. `old` must be there exactly (blanks and line ends count) and only once, or \
                      `replace_all` be true. The file must have been read since it last changed. `old` is without the line numbers that \
                      `read` shows."
            .into(),
        input_schema: json!({
            "type": "object",
            "properties": {
                "path": {"type": "string", "description": "The file; relative paths are below the workspace."},
                "old": {"type": "string", "description": "The text to replace."},
                "new": {"type": "string", "description": "What takes its place; may be empty."},
                "replace_all": {"type": "boolean", "description": "Replace every place. Default false."}
            },
            "required": ["path", "old", "new"],
            "additionalProperties": false
        }),
    }
}

pub(super) async fn call(shop: &Arc<Shop>, mut input: Input, stop: &CancellationToken) -> Result<Reply, String> {
    let shown = input.text("path")?;
    let old = input.any_text("old")?;
    let new = input.any_text("new")?;
    let all = input.flag("replace_all")?;
    input.finish()?;
    if old.is_empty() {
        return Err("`old` is empty: to make or fill a file use `write`".into());
    }
    if old == new {
        return Err("`old` and `new` are the same".into());
    }
    let shop = Arc::clone(shop);
    let path = shop.path(&shown)?;
    with_files(stop, move || {
        let mut seen = shop.seen.lock();
        let text = load_text(&path, &shown)?;
        check_fresh(&seen, &path, text.as_bytes(), &shown)?;
        let (old, new) = as_in_file(&text, old, new);
        let places: Vec<usize> = text.match_indices(&old).map(|(at, _)| at).collect();
        match places.len() {
            0 => return Err(not_found(&shown, &text, &old)),
            1 => {}
            count if !all => {
                let lines: Vec<_> = places.iter().take(PLACES).map(|at| line_of(&text, *at).to_string()).collect();
                return Err(format!(
                    "`old` is in {shown} {count} times (lines {}{}): take in more of what is around the one you mean, or set `replace_all`",
                    lines.join(", "),
                    if count > PLACES { ", …" } else { "" }
                ));
            }
            _ => {}
        }
        let grown = (text.len() + places.len() * new.len()).saturating_sub(places.len() * old.len());
        if grown as u64 > FILE_BYTES {
            return Err(format!("{shown} would have {grown} bytes, at most {FILE_BYTES} can be edited"));
        }
        let edited = text.replace(&old, &new);
        put(&path, edited.as_bytes()).map_err(|error| trouble(&shown, &error))?;
        note(&mut seen, &path, edited.as_bytes());
        let first = places.first().copied().unwrap_or_default();
        let count = places.len();
        let what = if count == 1 { "edited".to_string() } else { format!("edited in {count} places; the first") };
        Ok(Reply::changed(format!("{shown}: {what}\n{}", excerpt(&edited, first, new.len()))))
    })
    .await
}

/// Models write `\n`; a file with `\r\n` throughout is met with its own line ends.
fn as_in_file(text: &str, old: String, new: String) -> (String, String) {
    if text.contains(&old) || !old.contains('\n') || old.contains('\r') || !text.contains("\r\n") {
        return (old, new);
    }
    let crlf = |text: &str| text.replace("\r\n", "\n").replace('\n', "\r\n");
    (crlf(&old), crlf(&new))
}

fn line_of(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

/// Often it is only blanks that differ: then the line is named.
fn not_found(shown: &str, text: &str, old: &str) -> String {
    let first = old.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    let near = text.lines().position(|line| line.trim() == first).filter(|_| !first.is_empty());
    match near {
        Some(at) => format!(
            "`old` is not in {shown}. Its first line is like line {}, but blanks or what follows differ: `read` there and copy exactly",
            at + 1
        ),
        None => format!("`old` is not in {shown}"),
    }
}

fn excerpt(text: &str, at: usize, length: usize) -> String {
    let first = line_of(text, at);
    let last = line_of(text, at + length);
    let from = first.saturating_sub(AROUND + 1);
    let lines = text.lines().enumerate().skip(from).take(last + AROUND - from);
    let shown: Vec<_> = lines.map(|(at, line)| format!("{:>6}\t{line}", at + 1)).collect();
    bounded(shown.join("\n"), SHOWN_BYTES, "`read` shows it")
}
