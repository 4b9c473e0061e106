//! `write`: a whole file.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    sync::Arc,
};

use rustix::fs::OFlags;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{
    bench::{Reply, Shop, with_files},
    call::ToolSpec,
    files::{FILE_BYTES, check_fresh, look, must_be_file, note, open, read_up_to, trouble},
    input::Input,
};

pub(super) const NAME: &str = "write";

pub(super) fn spec() -> ToolSpec {
    ToolSpec {
        name: NAME,
        description: "Write a whole file, new or in place of the old content; folders on the way are made. A file that exists must \
                      have been read since it last changed. To change a part of a file use `edit`."
            .into(),
        input_schema: json!({
            "type": "object",
            "properties": {
                "path": {"type": "string", "description": "The file; relative paths are below the workspace."},
                "content": {"type": "string", "description": "All of its content."}
            },
            "required": ["path", "content"],
            "additionalProperties": false
        }),
    }
}

pub(super) async fn call(shop: &Arc<Shop>, mut input: Input, stop: &CancellationToken) -> Result<Reply, String> {
    let shown = input.text("path")?;
    let content = input.any_text("content")?;
    input.finish()?;
    if content.len() as u64 > FILE_BYTES {
        return Err(format!("`content` has {} bytes, at most {FILE_BYTES} are taken", content.len()));
    }
    let shop = Arc::clone(shop);
    let path = shop.path(&shown)?;
    with_files(stop, move || {
        let mut seen = shop.seen.lock();
        let existed = match fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_symlink() && fs::metadata(&path).is_err() => {
                // Says where it points, or that it leads in a circle.
                return Err(look(&path, &shown).err().unwrap_or_default());
            }
            Ok(_) => {
                must_be_file(&look(&path, &shown)?, &shown)?;
                let (mut file, _) = open(&path, &shown)?;
                let (old, whole) = read_up_to(&mut file, FILE_BYTES, &shown)?;
                if !whole {
                    return Err(format!(
                        "{shown} is larger than {FILE_BYTES} bytes: remove it first if it is to be replaced"
                    ));
                }
                if !old.is_empty() {
                    check_fresh(&seen, &path, &old, &shown)?;
                }
                true
            }
            Err(_) => false,
        };
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(|error| trouble(&shown, &error))?;
        }
        put(&path, content.as_bytes()).map_err(|error| trouble(&shown, &error))?;
        note(&mut seen, &path, content.as_bytes());
        let (lines, bytes) = (content.lines().count(), content.len());
        let what = if existed { "rewritten" } else { "new" };
        Ok(Reply::changed(format!("{shown}: {what}, {lines} lines, {bytes} bytes")))
    })
    .await
}

/// Writes in place, so that the file keeps its mode, its owner and its other names.
pub(super) fn put(path: &Path, content: &[u8]) -> io::Result<()> {
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o644)
        .custom_flags(flags.bits().cast_signed())
        .open(path)?;
    file.write_all(content)
}
