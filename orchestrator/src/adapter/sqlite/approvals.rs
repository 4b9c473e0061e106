//! What the HTTP API reads of requests to people.

use std::collections::BTreeMap;

use bus_schemas::{
    id::{ApprovalId, ProjectId},
    time::UnixMs,
    v1::{
        api::{ApprovalView, RouteView},
        approval::{ApprovalSubject, Decision},
    },
};
use rusqlite::{OptionalExtension, Row, params, types::Type};
use serde::de::{DeserializeOwned, Error as _};

use super::{
    row::{get_id, get_json, get_json_opt},
    store::Store,
};
use crate::port::{
    journal::{About, JournalError},
    waiting::{Waiting, Waits},
};

impl Store {
    /// The detail of the record that asked about a plan: the plan with its scripts.
    ///
    /// # Errors
    /// [`JournalError`].
    pub async fn plan_detail(
        &self,
        project_id: ProjectId,
        approval_id: ApprovalId,
    ) -> Result<Option<String>, JournalError> {
        self.read("read a plan", move |connection| {
            connection
                .prepare_cached(
                    "SELECT detail FROM journal WHERE project_id = ?1 AND kind IN ('project_created', 'plan_proposed')
                         AND event ->> '$.fact.approval_id' = ?2",
                )?
                .query_row([project_id.to_string(), approval_id.to_string()], |row| row.get(0))
                .optional()
                .map(Option::flatten)
        })
        .await
    }

    /// Requests to people: the pending ones, or all, oldest first. Without what they are about: that is large, and read
    /// one by one.
    ///
    /// # Errors
    /// [`JournalError`].
    pub async fn approvals(&self, all: bool) -> Result<Vec<ApprovalView>, JournalError> {
        self.read("list approvals", move |connection| {
            let which = if all { "TRUE" } else { "approval.closed = 0" };
            let sql = format!("SELECT {APPROVAL} WHERE {which} ORDER BY approval.asked_at, approval.approval_id");
            let mut statement = connection.prepare_cached(&sql)?;
            let mut rows = statement.query([])?;
            let mut list = Vec::new();
            while let Some(row) = rows.next()? {
                match approval(row) {
                    Ok(view) => list.push(view),
                    Err(error) => unreadable(row, &error),
                }
            }
            Ok(list)
        })
        .await
    }

    /// The first `limit` of some of the requests that wait, as [`Self::approvals`] gives them.
    ///
    /// # Errors
    /// [`JournalError`].
    pub async fn waiting(&self, which: Waiting, limit: usize) -> Result<Waits, JournalError> {
        // Read one by one, as the list is: what cannot be read neither counts nor takes the place of another.
        self.read("list what waits", move |connection| {
            let sql =
                format!("SELECT {APPROVAL} WHERE approval.closed = 0 ORDER BY approval.asked_at, approval.approval_id");
            let mut statement = connection.prepare_cached(&sql)?;
            let mut rows = statement.query([])?;
            let mut waits = Waits::default();
            while let Some(row) = rows.next()? {
                match approval(row) {
                    Ok(view) => {
                        waits.all += 1;
                        if which.takes(&view) {
                            waits.count += 1;
                            if waits.requests.len() < limit {
                                waits.requests.push(view);
                            }
                        }
                    }
                    Err(error) => unreadable(row, &error),
                }
            }
            Ok(waits)
        })
        .await
    }

    /// What [`Self::approvals`] gives, as the JSON it is answered with. Most of a request is kept as JSON: it is passed on as it is.
    ///
    /// # Errors
    /// [`JournalError`].
    pub async fn approvals_json(&self, all: bool) -> Result<Vec<u8>, JournalError> {
        self.read("list approvals", move |connection| {
            let which = if all { "TRUE" } else { "approval.closed = 0" };
            let sql = format!("SELECT {APPROVAL} WHERE {which} ORDER BY approval.asked_at, approval.approval_id");
            let mut statement = connection.prepare_cached(&sql)?;
            let mut rows = statement.query([])?;
            let mut list = vec![b'['];
            while let Some(row) = rows.next()? {
                let before = list.len();
                if before > 1 {
                    list.push(b',');
                }
                if let Err(error) = write(&mut list, row) {
                    list.truncate(before);
                    unreadable(row, &error);
                }
            }
            list.push(b']');
            Ok(list)
        })
        .await
    }

    /// The keys of those requests that there are: the same for those that are alike and low in risk, none for all others.
    ///
    /// # Errors
    /// [`JournalError`].
    pub async fn batch_keys(&self, ids: Vec<ApprovalId>) -> Result<Vec<Option<String>>, JournalError> {
        self.read("look up requests", move |connection| {
            let mut statement = connection.prepare_cached("SELECT batch FROM approval WHERE approval_id = ?1")?;
            let keys = ids.iter().map(|id| statement.query_row([id.to_string()], |row| row.get(0)).optional());
            keys.filter_map(Result::transpose).collect()
        })
        .await
    }

    /// The last request about putting a project's result into its folder.
    ///
    /// # Errors
    /// [`JournalError`].
    pub async fn apply_request(&self, project_id: ProjectId) -> Result<Option<ApprovalView>, JournalError> {
        self.read("look for a request", move |connection| {
            let sql = format!(
                "SELECT {APPROVAL} WHERE approval.project_id = ?1 AND approval.subject ->> '$.kind' = 'apply'
                 ORDER BY approval.asked_at DESC LIMIT 1"
            );
            connection.prepare_cached(&sql)?.query_row([project_id.to_string()], approval).optional()
        })
        .await
    }

    /// Why an approved result was not put into the folder, if a record after `seq` says so.
    ///
    /// # Errors
    /// [`JournalError`].
    pub async fn apply_refused(&self, project_id: ProjectId, seq: u64) -> Result<Option<String>, JournalError> {
        self.read("look for the apply", move |connection| {
            connection
                .prepare_cached(
                    "SELECT event ->> '$.fact.detail' FROM journal WHERE project_id = ?1 AND seq > ?2 AND kind = 'apply_refused'
                     ORDER BY seq DESC LIMIT 1",
                )?
                .query_row(params![project_id.to_string(), seq], |row| row.get(0))
                .optional()
        })
        .await
    }

    /// One request, without the plan it is about.
    ///
    /// # Errors
    /// [`JournalError`].
    pub async fn approval(&self, approval_id: ApprovalId) -> Result<Option<ApprovalView>, JournalError> {
        self.read("read an approval", move |connection| {
            let sql = format!("SELECT {APPROVAL} WHERE approval.approval_id = ?1");
            let found = connection.prepare_cached(&sql)?.query_row([approval_id.to_string()], approval).optional()?;
            let Some(mut view) = found else { return Ok(None) };
            let about: Option<About> = connection
                .prepare_cached("SELECT body FROM approval_about WHERE approval_id = ?1")?
                .query_row([approval_id.to_string()], |row| get_json(row, 0))
                .optional()?;
            show(&mut view, about);
            Ok(Some(view))
        })
        .await
    }
}

const APPROVAL: &str = "approval.approval_id, approval.project_id, project.title, approval.subject,
    task.key, approval.digest, approval.policy, approval.asked_at, approval.expires_at, approval.decision,
    approval.route
    FROM approval JOIN project USING (project_id) LEFT JOIN task ON task.task_id = approval.task_id";

fn approval(row: &Row<'_>) -> rusqlite::Result<ApprovalView> {
    Ok(ApprovalView {
        approval_id: ApprovalId::from_uuid(get_id(row, 0)?),
        project_id: ProjectId::from_uuid(get_id(row, 1)?),
        project_title: row.get(2)?,
        subject: get_json(row, 3)?,
        task_key: row.get(4)?,
        digest: row.get(5)?,
        policy: row.get(6)?,
        asked_at: UnixMs(row.get(7)?),
        expires_at: row.get::<_, Option<i64>>(8)?.map(UnixMs),
        decision: get_json_opt(row, 9)?,
        plan: None,
        scripts: BTreeMap::new(),
        handoff: None,
        skills: BTreeMap::new(),
        skill_reviews: Vec::new(),
        estimate: None,
        question: None,
        over_budget: None,
        patch: None,
        skill: None,
        capability: None,
        apply: None,
        route: get_json(row, 10)?,
    })
}

/// A request that somebody changed in the database by hand is left out of lists; the others stay.
fn unreadable(row: &Row<'_>, error: &rusqlite::Error) {
    let id: String = row.get(0).unwrap_or_default();
    tracing::error!(approval.id = %id, %error, "a request cannot be read and is left out: `baton rebuild` derives it again");
}

/// Writes a request as [`approval`] reads it and serde writes it.
fn write(list: &mut Vec<u8>, row: &Row<'_>) -> rusqlite::Result<()> {
    // What is kept as JSON, a number or an id needs no quoting; everything else does.
    let plain = |list: &mut Vec<u8>, key: &str, value: &str| {
        list.extend_from_slice(key.as_bytes());
        list.extend_from_slice(value.as_bytes());
    };
    let quoted = |list: &mut Vec<u8>, key: &str, value: &str| {
        list.extend_from_slice(key.as_bytes());
        serde_json::to_writer(list, value).map_err(|e| rusqlite::Error::ToSqlConversionFailure(Box::new(e)))
    };
    let text = |index: usize| row.get_ref(index)?.as_str().map_err(rusqlite::Error::from);
    let text_opt = |index: usize| row.get_ref(index)?.as_str_or_null().map_err(rusqlite::Error::from);
    get_id(row, 0)?;
    get_id(row, 1)?;
    quoted(list, r#"{"approval_id":"#, text(0)?)?;
    quoted(list, r#","project_id":"#, text(1)?)?;
    quoted(list, r#","project_title":"#, text(2)?)?;
    kept::<ApprovalSubject>(list, r#","subject":"#, 3, text(3)?)?;
    if let Some(key) = text_opt(4)? {
        quoted(list, r#","task_key":"#, key)?;
    }
    quoted(list, r#","digest":"#, text(5)?)?;
    quoted(list, r#","policy":"#, text(6)?)?;
    plain(list, r#","asked_at":"#, &row.get::<_, i64>(7)?.to_string());
    if let Some(at) = row.get::<_, Option<i64>>(8)? {
        plain(list, r#","expires_at":"#, &at.to_string());
    }
    if let Some(decision) = text_opt(9)? {
        kept::<Decision>(list, r#","decision":"#, 9, decision)?;
    }
    kept::<RouteView>(list, r#","route":"#, 10, text(10)?)?;
    list.push(b'}');
    Ok(())
}

/// Writes what is kept as JSON, once it was read as what it should be: what somebody wrote there by hand must not break the list.
fn kept<T: DeserializeOwned>(list: &mut Vec<u8>, key: &str, index: usize, value: &str) -> rusqlite::Result<()> {
    let checked = match serde_json::from_str::<T>(value) {
        // A list of values is read as a struct too, but is none to others.
        Ok(_) if !value.starts_with('{') => Err(serde_json::Error::custom("it is no object")),
        checked => checked,
    };
    checked.map_err(|e| rusqlite::Error::FromSqlConversionFailure(index, Type::Text, Box::new(e)))?;
    list.extend_from_slice(key.as_bytes());
    list.extend_from_slice(value.as_bytes());
    Ok(())
}

/// Adds what a request is about.
fn show(view: &mut ApprovalView, about: Option<About>) {
    match about {
        Some(About::Handoff(handoff)) => view.handoff = Some(handoff),
        Some(About::Question(question)) => view.question = Some(question),
        Some(About::OverBudget(limit)) => view.over_budget = Some(limit),
        Some(About::Patch(patch, plan)) => {
            view.patch = Some(patch);
            view.plan = Some(plan);
        }
        Some(About::Skill(skill)) => view.skill = Some(skill),
        Some(About::Capability(capability)) => view.capability = Some(capability),
        Some(About::Apply(offer)) => view.apply = Some(offer),
        None => {}
    }
}

#[cfg(test)]
mod tests;
