//! `skill`: a skill's instructions, and where its files are.

use std::{path::Path, sync::Arc};

use bus_schemas::v1::{agent::SkillRef, task::Program};
use serde_json::json;
use tokio_util::sync::CancellationToken;
use walkdir::WalkDir;

use super::{
    bench::{Reply, Shop, bounded, with_files},
    call::ToolSpec,
    files::{open, read_up_to},
    input::Input,
};

pub(super) const NAME: &str = "skill";
/// Shown of a skill's text, in bytes.
const BODY_BYTES: usize = 96 * 1024;
/// Its files that are named.
const RESOURCES: usize = 200;

pub(super) fn spec(skills: &[SkillRef]) -> ToolSpec {
    let names: Vec<_> = skills.iter().map(|skill| skill.name.as_str()).collect();
    ToolSpec {
        name: NAME,
        description: "Read a skill's instructions before doing what it is for. Its files are named with their paths."
            .into(),
        input_schema: json!({
            "type": "object",
            "properties": {"name": {"type": "string", "enum": names, "description": "The skill."}},
            "required": ["name"],
            "additionalProperties": false
        }),
    }
}

pub(super) async fn call(shop: &Arc<Shop>, mut input: Input, stop: &CancellationToken) -> Result<Reply, String> {
    let name = input.text("name")?;
    input.finish()?;
    let skills: &[SkillRef] = match &shop.bench.assignment.program {
        Program::Agent(work) => &work.skills,
        Program::Script { .. } => &[],
    };
    if !skills.iter().any(|skill| skill.name == name) {
        let names: Vec<_> = skills.iter().map(|skill| skill.name.as_str()).collect();
        let name: String = name.chars().take(64).collect();
        return Err(format!("there is no skill `{name}`; there are: {}", names.join(", ")));
    }
    let folder = shop.bench.machine.layout().skills.join(&name);
    with_files(stop, move || show(&name, &folder).map(Reply::text)).await
}

fn show(name: &str, folder: &Path) -> Result<String, String> {
    let path = folder.join("SKILL.md");
    let (mut file, _) = open(&path, &path.display().to_string())?;
    let (bytes, _) = read_up_to(&mut file, BODY_BYTES as u64 * 2, name)?;
    let text = String::from_utf8_lossy(&bytes);
    // A skill's text cannot end its own frame.
    let body = body_of(&text).trim().replace("</skill_content", "<\\/skill_content");
    let body = bounded(body, BODY_BYTES, &format!("`read` {}", path.display()));
    let mut resources: Vec<String> = Vec::new();
    for entry in WalkDir::new(folder).sort_by_file_name().into_iter().flatten() {
        if entry.file_type().is_file() && entry.path() != path {
            resources.push(entry.path().display().to_string());
        }
        if resources.len() > RESOURCES {
            resources.pop();
            resources.push("… and more".into());
            break;
        }
    }
    let files = if resources.is_empty() {
        String::new()
    } else {
        format!("\n\nFiles of this skill (read-only, in {}):\n{}", folder.display(), resources.join("\n"))
    };
    Ok(format!("<skill_content name=\"{name}\">\n{body}{files}\n</skill_content>"))
}

/// What comes after the head between two `---` lines.
fn body_of(text: &str) -> &str {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let Some(rest) = text.strip_prefix("---") else { return text };
    let mut at = 0;
    for (number, line) in rest.split_inclusive('\n').enumerate() {
        at += line.len();
        if number > 0 && line.trim_end() == "---" {
            return &rest[at..];
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::body_of;

    #[test]
    fn the_head_is_left_out() {
        assert_eq!(body_of("---\nname: a\n---\n# A\n---\nb\n"), "# A\n---\nb\n");
        assert_eq!(body_of("\u{feff}---\r\nname: a\r\n---\r\nB"), "B");
        assert_eq!(body_of("# no head\n"), "# no head\n");
        assert_eq!(body_of("---\nnever closed\n"), "---\nnever closed\n");
    }
}
