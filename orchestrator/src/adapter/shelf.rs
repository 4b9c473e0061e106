//! The skills of this machine: those of the project's folder, of the person and of the program; and, by digest, the tars of
//! those that projects were started with.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Component, Path, PathBuf},
};

use bus_schemas::v1::{
    api::{Finding, Severity, SkillProposal},
    skill::SkillReview,
};
use skills::{Catalog, Locks, NoticeKind, Source};

use super::review::review;
use crate::{digest, port::skills::SkillShelf};

/// The most files of a proposed skill.
const MAX_FILES: usize = 100;
/// The most bytes of a proposed skill.
const MAX_BYTES: usize = 1 << 20;
/// The longest description that is sent to hosts, in bytes.
const DESCRIPTION_BYTES: usize = 1024;

/// Where skills are.
#[derive(Clone, Debug, Default)]
pub struct Shelf {
    /// Tars of skills that projects were started with.
    pub kept: PathBuf,
    /// The person's home.
    pub home: Option<PathBuf>,
    /// `$XDG_DATA_HOME`, if it is set.
    pub data_home: Option<PathBuf>,
    /// What comes with the program.
    pub bundled: Option<PathBuf>,
}

impl Shelf {
    /// Where a skill that a person admits is put.
    fn own(&self) -> Option<PathBuf> {
        let data = self.data_home.clone().or_else(|| self.home.as_ref().map(|home| home.join(".local/share")));
        data.map(|data| data.join("baton/skills"))
    }

    fn path(&self, sha256: &str) -> PathBuf {
        self.kept.join(format!("{sha256}.tar"))
    }
}

impl SkillShelf for Shelf {
    fn catalog(&self, folder: Option<&str>) -> Catalog {
        let folder = folder.map(Path::new);
        let roots =
            skills::roots_with_data(folder, self.home.as_deref(), self.data_home.as_deref(), self.bundled.as_deref());
        Catalog::discover(&roots)
    }

    fn keep(&self, folder: &str, catalog: &Catalog, names: &[String]) -> Result<Vec<SkillReview>, String> {
        let locks = Locks::load(Some(Path::new(folder)), self.home.as_deref());
        let resolved = skills::resolve(names.iter().map(String::as_str), catalog, &locks);
        let mut kept = Vec::with_capacity(names.len());
        for mut skill in resolved.map_err(|error| error.to_string())? {
            let path = self.path(&skill.packed.sha256);
            if !path.is_file() {
                let fail = |error| format!("keep skill {} in {}: {error}", skill.name, path.display());
                written(&path, &skill.packed.tar).map_err(fail)?;
            }
            skill.description = crate::plan::policy::bounded(&skill.description, DESCRIPTION_BYTES);
            kept.push(review(&skill));
        }
        Ok(kept)
    }

    fn tar(&self, sha256: &str) -> Result<Vec<u8>, String> {
        let path = self.path(sha256);
        let bytes = fs::read(&path).map_err(|error| format!("read {}: {error}", path.display()))?;
        if digest::of_bytes(&bytes) == sha256 { Ok(bytes) } else { Err(format!("{} is damaged", path.display())) }
    }

    fn examine(&self, files: BTreeMap<String, String>) -> Result<SkillProposal, Vec<Finding>> {
        let refuse = |code: &str, message: String| vec![finding(Severity::Error, code, message)];
        if files.len() > MAX_FILES || files.values().map(String::len).sum::<usize>() > MAX_BYTES {
            let message = format!("more than {MAX_FILES} files or {} KiB", MAX_BYTES >> 10);
            return Err(refuse("skill_too_large", message));
        }
        if let Some(path) = files.keys().find(|path| !is_inside(path)) {
            return Err(refuse("bad_path", format!("{path:?} is not a path below the skill's folder")));
        }
        let draft = tempfile::tempdir().map_err(|error| refuse("not_examined", error.to_string()))?;
        let folder = draft.path().join(name_of(&files).unwrap_or_else(|| "skill".to_owned()));
        write_all(&folder, &files).map_err(|error| refuse("not_examined", error.to_string()))?;
        let catalog = Catalog::discover(&[(Source::User, draft.path().to_owned())]);
        let notices = catalog.notices().iter();
        let Some(skill) = catalog.iter().next() else {
            let why = notices.map(|notice| notice.message.clone()).collect::<Vec<_>>().join("; ");
            return Err(refuse("bad_skill", if why.is_empty() { "there is no SKILL.md".to_owned() } else { why }));
        };
        let findings = notices
            .filter(|notice| notice.kind == NoticeKind::Untidy)
            .map(|notice| finding(Severity::Warning, "untidy_skill", notice.message.clone()));
        Ok(SkillProposal { name: skill.name.clone(), findings: findings.collect(), files })
    }

    fn admit(&self, skill: &SkillProposal) -> Result<(), String> {
        if !is_inside(&skill.name) || skill.name.contains('/') || !skill.files.keys().all(|path| is_inside(path)) {
            return Err(format!("skill {:?} has names that lead out of its folder", skill.name));
        }
        let own = self.own().ok_or("there is no home folder to put the skill into")?;
        let folder = own.join(&skill.name);
        let fail = |error: io::Error| format!("write {}: {error}", folder.display());
        // Put beside and renamed, so that nobody finds half of it.
        let draft = own.join(format!(".{}.new", skill.name));
        let old = own.join(format!(".{}.old", skill.name));
        for leftover in [&draft, &old] {
            match fs::remove_dir_all(leftover) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(fail(error)),
                _ => {}
            }
        }
        write_all(&draft, &skill.files).map_err(fail)?;
        if folder.exists() {
            fs::rename(&folder, &old).map_err(fail)?;
        }
        fs::rename(&draft, &folder).map_err(fail)?;
        // What is left of the one before does no harm: its name begins with a dot.
        let _ = fs::remove_dir_all(&old);
        Ok(())
    }
}

fn finding(severity: Severity, code: &str, message: String) -> Finding {
    Finding { severity, code: code.to_owned(), file: "SKILL.md".to_owned(), line: 0, column: 0, message, hint: None }
}

/// Plain names, downwards.
fn is_inside(path: &str) -> bool {
    let path_of = Path::new(path);
    !path.is_empty()
        && !path.chars().any(char::is_control)
        && path_of
            .components()
            .all(|part| matches!(part, Component::Normal(name) if !name.to_string_lossy().starts_with('.')))
}

/// The name that the skill's head gives, if it can be a folder's.
fn name_of(files: &BTreeMap<String, String>) -> Option<String> {
    let head = files.get("SKILL.md")?.lines().skip(1).take_while(|line| line.trim() != "---");
    let name = head.filter_map(|line| line.strip_prefix("name:")).next()?.trim().trim_matches(['"', '\'']).to_owned();
    (is_inside(&name) && !name.contains('/')).then_some(name)
}

fn write_all(folder: &Path, files: &BTreeMap<String, String>) -> io::Result<()> {
    for (path, text) in files {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap_or(folder))?;
        fs::write(path, text)?;
    }
    Ok(())
}

/// Written beside and renamed: a file of this name is whole.
fn written(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    fs::create_dir_all(folder)?;
    let draft = tempfile::NamedTempFile::new_in(folder)?;
    fs::write(draft.path(), bytes)?;
    draft.as_file().sync_all()?;
    draft.persist(path).map(drop).map_err(|error| error.error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proposal(path: &str) -> BTreeMap<String, String> {
        BTreeMap::from([
            ("SKILL.md".to_owned(), "---\nname: tidy-up\ndescription: Tidies.\n---\nDo it.\n".to_owned()),
            (path.to_owned(), "x".to_owned()),
        ])
    }

    #[test]
    fn a_proposed_skill_is_examined_admitted_found_and_packed() {
        let home = tempfile::tempdir().unwrap();
        let shelf = Shelf { kept: home.path().join("kept"), home: Some(home.path().to_owned()), ..Shelf::default() };
        let skill = shelf.examine(proposal("scripts/a.sh")).unwrap();
        assert_eq!((skill.name.as_str(), skill.files.len()), ("tidy-up", 2));
        shelf.admit(&skill).unwrap();
        shelf.admit(&skill).unwrap();
        let catalog = shelf.catalog(None);
        let kept = shelf.keep("/nowhere", &catalog, &["tidy-up".to_owned()]).unwrap();
        assert_eq!(kept, shelf.keep("/nowhere", &catalog, &["tidy-up".to_owned()]).unwrap());
        assert_eq!(shelf.tar(&kept[0].sha256).unwrap().len() as u64, kept[0].bytes);
        assert!(shelf.keep("/nowhere", &catalog, &["other".to_owned()]).is_err());
        assert!(shelf.tar("00").is_err());
    }

    #[test]
    fn what_leads_out_of_its_folder_or_is_no_skill_is_refused() {
        let shelf = Shelf::default();
        for bad in ["../up", "/etc/passwd", "a/../../b", ".hidden", "", "a\nb"] {
            assert!(shelf.examine(proposal(bad)).is_err(), "{bad:?}");
        }
        assert!(shelf.examine(BTreeMap::new()).is_err());
        let named = SkillProposal { name: "../x".to_owned(), files: BTreeMap::new(), findings: Vec::new() };
        assert!(Shelf { home: Some(PathBuf::from("/nowhere")), ..Shelf::default() }.admit(&named).is_err());
    }
}
