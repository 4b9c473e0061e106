//! `propose_skill`: what an agent learned, for others; a person admits it or not.

use std::{collections::BTreeMap, fs, path::Path, sync::Arc};

use bus_schemas::v1::call::GuestCall;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use walkdir::WalkDir;

use super::{
    bench::{Reply, Shop, with_files},
    call::ToolSpec,
    files::{look, open, read_up_to, trouble},
    input::Input,
    plan::{ask, told},
};

pub(super) const NAME: &str = "propose_skill";
const MAX_FILES: usize = 100;
const ALL_BYTES: usize = 1024 * 1024;

pub(super) fn spec() -> ToolSpec {
    ToolSpec {
        name: NAME,
        description: "Propose a skill (a folder with a SKILL.md, as the Agent Skills standard has it) that would help with such tasks in \
                      the future. A person looks at it later; go on with your task."
            .into(),
        input_schema: json!({
            "type": "object",
            "properties": {"path": {"type": "string", "description": "The folder, below the workspace."}},
            "required": ["path"],
            "additionalProperties": false
        }),
    }
}

pub(super) async fn call(shop: &Arc<Shop>, mut input: Input, stop: &CancellationToken) -> Result<Reply, String> {
    let shown = input.text("path")?;
    input.finish()?;
    let (path, workspace) = (shop.path(&shown)?, shop.workspace().to_path_buf());
    let files = with_files(stop, move || collect(&path, &workspace, &shown)).await?;
    told(ask(shop, GuestCall::ProposeSkill { files }, stop).await?).map(Reply::text)
}

fn collect(path: &Path, workspace: &Path, shown: &str) -> Result<BTreeMap<String, String>, String> {
    if !look(path, shown)?.is_dir() {
        return Err(format!("{shown} is not a folder"));
    }
    let real = |path: &Path| fs::canonicalize(path).map_err(|error| trouble(shown, &error));
    let folder = real(path)?;
    if !folder.starts_with(real(workspace)?) {
        return Err(format!("{shown} is not below the workspace"));
    }
    let mut files = BTreeMap::new();
    let mut bytes = 0;
    for entry in WalkDir::new(&folder).sort_by_file_name() {
        let entry = entry.map_err(|error| format!("{shown}: {error}"))?;
        if entry.file_type().is_dir() {
            continue;
        }
        let below = entry.path().strip_prefix(&folder).unwrap_or(entry.path());
        let name = below.to_str().ok_or_else(|| format!("{}: a name that is not UTF-8", below.display()))?;
        if !entry.file_type().is_file() {
            return Err(format!("{name} is not a file: a skill has files only"));
        }
        if files.len() == MAX_FILES {
            return Err(format!("{shown} has more than {MAX_FILES} files"));
        }
        let (mut file, _) = open(entry.path(), name)?;
        let (content, whole) = read_up_to(&mut file, (ALL_BYTES - bytes) as u64, name)?;
        bytes += content.len();
        if !whole {
            return Err(format!("{shown} has more than {ALL_BYTES} bytes"));
        }
        let text = String::from_utf8(content).map_err(|_| format!("{name} is not text"))?;
        files.insert(name.to_string(), text);
    }
    if files.contains_key("SKILL.md") { Ok(files) } else { Err(format!("{shown} has no SKILL.md")) }
}
