//! What a project is started with beside its plan: a preset, a folder of its own, files.

use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::DirBuilderExt as _,
    path::{Component, Path, PathBuf},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bus_schemas::{
    id::ProjectId,
    v1::api::{Input, NewProject, PlanSource, Problem},
};

use super::{
    create::blocking,
    orchestrator::Orchestrator,
    problem::{hinted, problem},
};
use crate::{
    adapter::shadow::InputFile,
    planfile::script_files,
    policy::{Preset, Rules},
};

/// One file a project is started with, in bytes; all together; how many.
const INPUT_BYTES: usize = 25 << 20;
const INPUTS_BYTES: usize = 50 << 20;
const INPUTS: usize = 100;
/// The largest plan or script of a preset, in bytes.
const FILE_BYTES: u64 = 4 << 20;
/// The longest key of a start, in bytes.
const KEY_BYTES: usize = 300;
/// The longest file name, in characters.
const NAME_CHARS: usize = 100;

/// Whether a project can be started under a key: each channel names what it heard, and none speaks for another.
pub(super) fn is_key(key: &str, channel: &str) -> Result<(), Problem> {
    let channel = if channel.is_empty() { "cli" } else { channel };
    let own = key.strip_prefix(channel).and_then(|rest| rest.strip_prefix(':'));
    let bad = |detail: String, hint: String| Err(hinted("bad_key", 422, detail, hint));
    match own {
        None => bad(format!("the key {key:?} is none of channel {channel}"), format!("begin it with `{channel}:`")),
        Some("") => bad("the key is empty".to_owned(), format!("write behind `{channel}:` what starts the project")),
        Some(_) if key.chars().any(char::is_control) => {
            bad("the key has control characters".to_owned(), "use a digest of what starts the project".to_owned())
        }
        Some(_) if key.len() > KEY_BYTES => bad(
            format!("the key has {} bytes; {KEY_BYTES} are the most", key.len()),
            "use a digest of what starts the project".to_owned(),
        ),
        Some(_) => Ok(()),
    }
}

/// A preset's values where a new project has none of its own; its budget is the most there can be.
pub(super) fn with_preset(mut new: NewProject, rules: &Rules) -> Result<(NewProject, Option<PathBuf>), Problem> {
    if new.channel.is_empty() {
        "cli".clone_into(&mut new.channel);
    }
    let Some(name) = new.preset.take() else { return Ok((new, None)) };
    let Some(preset) = rules.presets.get(&name) else {
        let names = rules.presets.keys().cloned().collect::<Vec<_>>().join(", ");
        let hint =
            if names.is_empty() { "baton.toml has no [presets.NAME]".to_owned() } else { format!("there are {names}") };
        return Err(hinted("unknown_preset", 422, format!("there is no preset {name:?}"), hint));
    };
    let Preset { folder, plan, budget, policy, apply, .. } = preset.clone();
    if new.folder.is_empty()
        && let Some(folder) = folder
    {
        new.folder = folder.to_string_lossy().into_owned();
    }
    new.budget.usd = new.budget.usd.into_iter().chain(budget).min_by(f64::total_cmp);
    // Whoever sits at the machine can say otherwise; over any other channel a preset's policies stand.
    let is_here = new.channel == "cli";
    let one = |said: Option<String>, preset: Option<String>| if is_here { said.or(preset) } else { preset.or(said) };
    new.policy = one(new.policy, policy);
    new.apply = one(new.apply, apply);
    let own_plan = !new.plan.text.is_empty();
    Ok((new, plan.filter(|_| !own_plan)))
}

/// A preset's plan file with its scripts. One that is missing is left out: the check of the plan says so.
pub(super) async fn read_plan(path: PathBuf) -> Result<PlanSource, Problem> {
    let unreadable = |e: String| problem("plan_unreadable", 422, e);
    blocking(move || {
        let text = read(&path).map_err(unreadable)?;
        let beside = path.parent().unwrap_or_else(|| Path::new("/"));
        let mut scripts = BTreeMap::new();
        for name in script_files(&text) {
            let file = beside.join(&name);
            let is_inside = Path::new(&name).components().all(|part| matches!(part, Component::Normal(_)));
            if is_inside && file.is_file() {
                scripts.insert(name, read(&file).map_err(unreadable)?);
            }
        }
        Ok(PlanSource { file: path.display().to_string(), text, scripts, folder: None })
    })
    .await?
}

fn read(path: &Path) -> Result<String, String> {
    let shown = path.display();
    let failed = |e: io::Error| format!("read {shown}: {e}");
    if fs::metadata(path).map_err(failed)?.len() > FILE_BYTES {
        return Err(format!("{shown} is larger than {} MiB", FILE_BYTES >> 20));
    }
    fs::read_to_string(path).map_err(failed)
}

impl Orchestrator {
    /// A new, empty folder for a project that has none.
    pub(super) async fn own_folder(&self, project_id: ProjectId) -> Result<String, Problem> {
        // The beginning of an id is the time; its end is what tells two of them apart.
        let id = project_id.to_string();
        let folder = self.data_dir.join("projects").join(id.rsplit('-').next().unwrap_or(&id));
        let made = blocking(move || {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
            folder.canonicalize()
        });
        let folder = made.await?.map_err(|e| problem("storage", 500, format!("make a folder for the project: {e}")))?;
        let text = folder.to_str().map(str::to_owned);
        text.ok_or_else(|| problem("storage", 500, "the path of the data folder is not UTF-8"))
    }
}

/// The files, with safe names of their own.
pub(super) fn files(inputs: Vec<Input>) -> Result<Vec<InputFile>, Problem> {
    let too_large = |detail: String| {
        hinted("inputs_too_large", 422, detail, "put large files into the folder instead, or leave them out")
    };
    if inputs.len() > INPUTS {
        return Err(too_large(format!("{} files; {INPUTS} are the most", inputs.len())));
    }
    let mut files: Vec<InputFile> = Vec::with_capacity(inputs.len());
    let mut total = 0;
    for Input { name, base64 } in inputs {
        // Before it is decoded: four characters are three bytes.
        if base64.len() / 4 * 3 > INPUT_BYTES + 3 {
            return Err(too_large(format!("{name:?} is larger than {} MiB", INPUT_BYTES >> 20)));
        }
        let content = BASE64_STANDARD
            .decode(base64.as_bytes())
            .map_err(|e| problem("bad_input", 422, format!("the content of {name:?} is not base64: {e}")))?;
        total += content.len();
        if content.len() > INPUT_BYTES {
            return Err(too_large(format!("{name:?} is larger than {} MiB", INPUT_BYTES >> 20)));
        }
        if total > INPUTS_BYTES {
            return Err(too_large(format!("all files together are larger than {} MiB", INPUTS_BYTES >> 20)));
        }
        let is_taken = |name: &str| files.iter().any(|file| file.name.to_lowercase() == name.to_lowercase());
        let name = unique(&safe(&name), is_taken);
        files.push(InputFile { name, content });
    }
    Ok(files)
}

/// A plain file name: no folder, nothing that hides, nothing that is special to git or a shell's listing.
fn safe(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let plain: String = last
        .chars()
        .map(|c| if c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | ' ' | '(' | ')' | '+') { c } else { '_' })
        .collect();
    let plain = plain.trim().trim_start_matches(['.', '-']).trim_end_matches(['.', ' ']);
    if plain.is_empty() {
        return "file".to_owned();
    }
    let (stem, end) = split(plain);
    let room = NAME_CHARS.saturating_sub(end.chars().count());
    format!("{}{end}", stem.chars().take(room.max(1)).collect::<String>())
}

/// `a`, `a-2`, `a-3` …
pub(super) fn unique(name: &str, is_taken: impl Fn(&str) -> bool) -> String {
    if !is_taken(name) {
        return name.to_owned();
    }
    let (stem, end) = split(name);
    let mut candidates = (2..).map(|number: u32| format!("{stem}-{number}{end}"));
    candidates.find(|candidate| !is_taken(candidate)).unwrap_or_else(|| name.to_owned())
}

/// A name and its ending, if that is short.
fn split(name: &str) -> (&str, &str) {
    match name.rfind('.').filter(|at| *at > 0 && name.len() - at <= 12) {
        Some(at) => name.split_at(at),
        None => (name, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(name: &str, content: &[u8]) -> Input {
        Input { name: name.to_owned(), base64: BASE64_STANDARD.encode(content) }
    }

    fn names(inputs: &[&str]) -> Vec<String> {
        let inputs = inputs.iter().map(|name| input(name, b"x")).collect();
        files(inputs).unwrap().into_iter().map(|file| file.name).collect()
    }

    #[test]
    fn names_are_safe_and_unique() {
        assert_eq!(
            names(&[
                "a.csv",
                "A.csv",
                "../../etc/passwd",
                "C:\\x\\b.txt",
                ".git",
                "..",
                "a\u{202e}b\n",
                "-rf",
                "a.csv"
            ]),
            ["a.csv", "A-2.csv", "passwd", "b.txt", "git", "file", "a_b_", "rf", "a-3.csv"]
        );
        let long = names(&[&format!("{}.xlsx", "ä".repeat(300))]);
        assert_eq!((long[0].chars().count(), long[0].ends_with(".xlsx")), (NAME_CHARS, true));
    }

    #[test]
    fn files_are_bounded_and_decoded() {
        let decoded = files(vec![input("a", b"\0\xff")]).unwrap();
        assert_eq!(decoded[0].content, b"\0\xff");
        let code = |inputs: Vec<Input>| files(inputs).unwrap_err().code;
        assert_eq!(code(vec![Input { name: "a".to_owned(), base64: "?".to_owned() }]), "bad_input");
        let large = vec![0; INPUT_BYTES];
        assert!(files(vec![input("a", &large), input("b", &large)]).is_ok());
        assert_eq!(code(vec![input("a", &large), input("b", &large), input("c", b"x")]), "inputs_too_large");
        assert_eq!(code(vec![input("a", &vec![0; INPUT_BYTES + 1])]), "inputs_too_large");
        assert_eq!(code((0..=INPUTS).map(|_| input("a", b"")).collect()), "inputs_too_large");
    }

    #[test]
    fn a_key_is_its_channels_own() {
        let code = |key: &str, channel: &str| is_key(key, channel).err().map(|problem| problem.code);
        assert_eq!(code("slack:event:Ev1", "slack"), None);
        assert_eq!(code("cli:nightly 2026-11-23", ""), None);
        let long = format!("cli:{}", "x".repeat(KEY_BYTES));
        for (key, channel) in [
            ("slack:event:Ev1", "cli"),
            ("slacker:1", "slack"),
            ("cli:", "cli"),
            ("", "cli"),
            ("cli:a\nb", "cli"),
            (&long, "cli"),
        ] {
            assert_eq!(code(key, channel).as_deref(), Some("bad_key"), "{key:?} over {channel}");
        }
    }

    #[test]
    fn a_preset_fills_in_what_is_not_said() {
        let preset = Preset {
            folder: Some("/srv/repo".into()),
            budget: Some(5.0),
            policy: Some("ask".to_owned()),
            apply: Some("ask".to_owned()),
            ..Preset::default()
        };
        let rules = Rules { presets: [("audit".to_owned(), preset)].into(), ..Rules::default() };
        let new = |change: &dyn Fn(&mut NewProject)| {
            let mut new = NewProject { preset: Some("audit".to_owned()), ..NewProject::default() };
            change(&mut new);
            with_preset(new, &rules)
        };
        let (filled, plan) = new(&|_| {}).unwrap();
        assert_eq!((filled.folder.as_str(), filled.channel.as_str(), plan), ("/srv/repo", "cli", None));
        assert_eq!((filled.budget.usd, filled.policy.as_deref()), (Some(5.0), Some("ask")));
        let (own, _) = new(&|new| {
            new.folder = "/mine".to_owned();
            new.budget.usd = Some(9.0);
            new.policy = Some("auto".to_owned());
        })
        .unwrap();
        assert_eq!((own.folder.as_str(), own.budget.usd, own.policy.as_deref()), ("/mine", Some(5.0), Some("auto")));
        let (far, _) = new(&|new| {
            new.channel = "slack".to_owned();
            new.policy = Some("auto".to_owned());
        })
        .unwrap();
        assert_eq!(far.policy.as_deref(), Some("ask"), "nobody loosens a preset from afar");
        let unknown = new(&|new| new.preset = Some("x".to_owned())).unwrap_err();
        assert_eq!((unknown.code.as_str(), unknown.hint.as_deref()), ("unknown_preset", Some("there are audit")));
    }
}
