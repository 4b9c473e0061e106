//! `read`: a file's lines with their numbers, or a folder's entries.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    os::unix::fs::FileTypeExt,
    path::Path,
    sync::Arc,
};

use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{
    bench::{Reply, Shop, bounded, with_files},
    call::ToolSpec,
    files::{FILE_BYTES, binary, look, looks_binary, open, read_up_to, trouble},
    input::Input,
};

pub(super) const NAME: &str = "read";
/// Lines of one call.
const MAX_LINES: u64 = 2000;
/// Shown of a line, in bytes.
const LINE_BYTES: usize = 2000;
/// Shown altogether, in bytes.
const SHOWN_BYTES: usize = 48 * 1024;
/// Skipped at most to get to a line, in bytes.
const SKIP_BYTES: u64 = 512 * 1024 * 1024;
/// Entries shown of a folder.
const ENTRIES: usize = 500;

pub(super) fn spec() -> ToolSpec {
    ToolSpec {
        name: NAME,
        description: format!(
            "Read a text file (numbered lines) or list a folder. Relative paths are below the workspace. At most {MAX_LINES} lines at \
             once: go on with `offset`. A file must be read before `edit` or `write` may change it."
        ),
        input_schema: json!({
            "type": "object",
            "properties": {
                "path": {"type": "string", "description": "The file or folder."},
                "offset": {"type": "integer", "minimum": 1, "description": "The first line, from 1. Default 1."},
                "limit": {"type": "integer", "minimum": 1, "maximum": MAX_LINES, "description": "How many lines."}
            },
            "required": ["path"],
            "additionalProperties": false
        }),
    }
}

pub(super) async fn call(shop: &Arc<Shop>, mut input: Input, stop: &CancellationToken) -> Result<Reply, String> {
    let shown = input.text("path")?;
    let offset = input.number("offset", 1..=u64::MAX, 1)?;
    let limit = input.number("limit", 1..=MAX_LINES, MAX_LINES)?;
    input.finish()?;
    let shop = Arc::clone(shop);
    let path = shop.path(&shown)?;
    with_files(stop, move || {
        if look(&path, &shown)?.is_dir() {
            return list(&path, &shown).map(Reply::text);
        }
        read(&shop, &path, &shown, offset, limit).map(Reply::text)
    })
    .await
}

fn read(shop: &Shop, path: &Path, shown: &str, offset: u64, limit: u64) -> Result<String, String> {
    let (mut file, metadata) = open(path, shown)?;
    let (begin, whole) = read_up_to(&mut file, FILE_BYTES, shown)?;
    if looks_binary(&begin) {
        return Err(binary(shown, &begin, metadata.len().max(begin.len() as u64)));
    }
    if whole {
        shop.seen.note(path, &begin);
        return number(begin.as_slice(), shown, offset, limit, Some(begin.len()));
    }
    // Only what is passed over is read again; so large a file is never edited, so what it holds need not be known.
    let (file, _) = open(path, shown)?;
    number(BufReader::new(file.take(SKIP_BYTES)), shown, offset, limit, None)
}

/// Numbers `limit` lines from `offset`.
fn number(
    mut from: impl BufRead,
    shown: &str,
    offset: u64,
    limit: u64,
    bytes: Option<usize>,
) -> Result<String, String> {
    let failed = |error: std::io::Error| trouble(shown, &error);
    let mut text = String::new();
    let mut line = 0_u64;
    let mut more = false;
    loop {
        let Some(content) = next_line(&mut from).map_err(failed)? else { break };
        line += 1;
        if line < offset {
            continue;
        }
        if line - offset >= limit || text.len() > SHOWN_BYTES {
            more = true;
            break;
        }
        text.push_str(&format!("{line:>6}\t{content}\n"));
    }
    if bytes == Some(0) {
        return Ok(format!("{shown} is empty"));
    }
    if text.is_empty() {
        return Err(format!("{shown} has only {line} lines; `offset` is {offset}"));
    }
    if more {
        text.push_str(&format!("[there is more: go on with offset {line}]\n"));
    }
    Ok(text)
}

/// The next line without its end, cut to what is shown, however long it is.
fn next_line(from: &mut impl BufRead) -> std::io::Result<Option<String>> {
    let (mut kept, mut length, mut any) = (Vec::new(), 0_usize, false);
    loop {
        let piece = from.fill_buf()?;
        if piece.is_empty() {
            break;
        }
        any = true;
        let end = piece.iter().position(|byte| *byte == b'\n');
        let line = &piece[..end.unwrap_or(piece.len())];
        length += line.len();
        let room = (LINE_BYTES + 1).saturating_sub(kept.len());
        kept.extend_from_slice(&line[..room.min(line.len())]);
        let used = end.map_or(piece.len(), |at| at + 1);
        from.consume(used);
        if end.is_some() {
            break;
        }
    }
    if !any {
        return Ok(None);
    }
    if length > LINE_BYTES {
        kept.truncate(LINE_BYTES);
        let text = String::from_utf8_lossy(&kept);
        return Ok(Some(format!("{} [… {length} bytes]", text.trim_end_matches('\u{fffd}'))));
    }
    if kept.last() == Some(&b'\r') {
        kept.pop();
    }
    Ok(Some(String::from_utf8_lossy(&kept).into_owned()))
}

fn list(path: &Path, shown: &str) -> Result<String, String> {
    let failed = |error: std::io::Error| trouble(shown, &error);
    let mut entries = Vec::new();
    let mut left_out = 0;
    for entry in fs::read_dir(path).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if entries.len() == ENTRIES * 20 {
            left_out += 1;
            continue;
        }
        let name = entry.file_name().to_string_lossy().replace(|c: char| c.is_control(), "?");
        let kind = entry.file_type().map_err(failed)?;
        entries.push(if kind.is_dir() {
            format!("{name}/")
        } else if kind.is_symlink() {
            format!("{name} -> {}", fs::read_link(entry.path()).unwrap_or_default().display())
        } else if kind.is_file() {
            format!("{name} ({} bytes)", entry.metadata().map_or(0, |metadata| metadata.len()))
        } else if kind.is_fifo() {
            format!("{name} (named pipe)")
        } else {
            format!("{name} (special)")
        });
    }
    if entries.is_empty() {
        return Ok(format!("{shown} is an empty folder"));
    }
    entries.sort_unstable();
    left_out += entries.len().saturating_sub(ENTRIES);
    entries.truncate(ENTRIES);
    let mut text = entries.join("\n");
    if left_out > 0 {
        text.push_str(&format!("\n[{left_out} more entries are not shown: use `search` with `name`]"));
    }
    Ok(bounded(text, SHOWN_BYTES, "use `search` with `name`"))
}
