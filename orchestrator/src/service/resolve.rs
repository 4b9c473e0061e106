//! Ids as people write them: whole, or the beginning of one, with hyphens or without.

use bus_schemas::{
    id::{ApprovalId, ProjectId},
    v1::api::Problem,
};
use uuid::Uuid;

use super::problem::{hinted, of_journal, problem};
use crate::adapter::sqlite::{Store, Thing};

/// The project that is meant.
pub(super) async fn project(store: &Store, written: &str) -> Result<ProjectId, Problem> {
    resolve(store, Thing::Project, "project", written).await.map(ProjectId::from_uuid)
}

/// The request that is meant.
pub(super) async fn approval(store: &Store, written: &str) -> Result<ApprovalId, Problem> {
    resolve(store, Thing::Approval, "approval", written).await.map(ApprovalId::from_uuid)
}

async fn resolve(store: &Store, thing: Thing, noun: &str, written: &str) -> Result<Uuid, Problem> {
    let Some(prefix) = prefix_of(written) else {
        let hint = "give a UUID or the beginning of one, as `baton ps` shows it";
        return Err(hinted("bad_id", 400, format!("{written:?} is not an id"), hint));
    };
    let found = store.ids(thing, prefix).await.map_err(|e| of_journal(&e))?;
    match found.as_slice() {
        [] => Err(problem("not_found", 404, format!("there is no {noun} {written}"))),
        [only] => Ok(*only),
        several => {
            let list: Vec<String> = several.iter().map(Uuid::to_string).collect();
            let detail = format!("{written} is the beginning of several {noun} ids: {}", list.join(", "));
            Err(hinted("ambiguous", 409, detail, "write more of it"))
        }
    }
}

/// The beginning of a hyphenated UUID that is meant, or `None` if it cannot be one.
fn prefix_of(written: &str) -> Option<String> {
    let digits: String = written.trim().chars().filter(|c| *c != '-').map(|c| c.to_ascii_lowercase()).collect();
    if digits.is_empty() || digits.len() > 32 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let mut prefix = String::with_capacity(36);
    for (place, digit) in digits.chars().enumerate() {
        if matches!(place, 8 | 12 | 16 | 20) {
            prefix.push('-');
        }
        prefix.push(digit);
    }
    Some(prefix)
}

#[cfg(test)]
mod tests {
    use super::prefix_of;

    #[test]
    fn an_id_is_taken_with_and_without_hyphens_whole_or_begun() {
        let whole = "0193a5c2-7b1f-7c33-9d2e-1f0a2b3c4d5e";
        assert_eq!(prefix_of(whole).as_deref(), Some(whole));
        assert_eq!(prefix_of(&whole.replace('-', "").to_uppercase()).as_deref(), Some(whole));
        assert_eq!(prefix_of("0193a5c27").as_deref(), Some("0193a5c2-7"));
        assert_eq!(prefix_of(" 0193 ").as_deref(), Some("0193"));
        for bad in ["", "-", "xyz", "0193'; --", &format!("{whole}0")] {
            assert_eq!(prefix_of(bad), None, "{bad}");
        }
    }
}
