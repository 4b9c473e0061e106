//! Ids as people see and type them.

use std::fmt::Display;

use super::{CliError, Exit};

/// Where an id may be cut: after a group, but not before the whole time stamp of a version 7 UUID (the first 12
/// digits) is in it, because ids of one afternoon share the digits before.
const CUTS: [usize; 4] = [13, 18, 23, 36];

/// The ids of a list: each is cut where it differs from the others.
pub(super) struct Listed(Vec<String>);

impl Listed {
    /// All of them, in any order.
    pub(super) fn of<I: Display>(ids: impl Iterator<Item = I>) -> Self {
        let mut ids: Vec<String> = ids.map(|id| id.to_string()).collect();
        ids.sort_unstable();
        ids.dedup();
        Self(ids)
    }

    /// The shortest cut at which `id` differs from all others: in their order, from those beside it.
    pub(super) fn short(&self, id: &impl Display) -> String {
        let full = id.to_string();
        let at = self.0.partition_point(|other| *other < full);
        let before = at.checked_sub(1).and_then(|before| self.0.get(before));
        let after = self.0.iter().skip(at).find(|other| **other != full);
        for cut in CUTS {
            let Some(prefix) = full.get(..cut) else { break };
            if ![before, after].into_iter().flatten().any(|other| other.starts_with(prefix)) {
                return prefix.to_owned();
            }
        }
        full
    }
}

/// An id that stands alone.
pub(super) fn alone(id: &impl Display) -> String {
    id.to_string().chars().take(CUTS[0]).collect()
}

/// Refuses what cannot be (the beginning of) an id before it is put into an address.
pub(super) fn check<'a>(what: &str, id: &'a str) -> Result<&'a str, CliError> {
    if !id.is_empty() && id.len() <= 36 && id.chars().all(|c| c.is_ascii_hexdigit() || c == '-') {
        return Ok(id);
    }
    let hint = format!("ids are hexadecimal, like 0193abcd-4f21: see `baton {what}`");
    Err(CliError::new(Exit::NotFound, "not_found", format!("{id:?} is not an id"), Some(&hint)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_cut_where_it_differs() {
        let ids = [
            "0193abcd-4f21-7000-8000-000000000001",
            "0193abcd-4f21-7000-8001-000000000001",
            "0193abcd-4f22-7000-8000-000000000001",
        ];
        let listed = Listed::of(ids.iter());
        let cut = |id: &str| listed.short(&id);
        assert_eq!(cut(ids[2]), "0193abcd-4f22");
        assert_eq!(cut(ids[0]), "0193abcd-4f21-7000-8000");
        assert_eq!(alone(&ids[0]), "0193abcd-4f21");
        assert_eq!(cut("0193abcd-4f23-7000-8000-000000000009"), "0193abcd-4f23", "it need not be one of them");
    }

    #[test]
    fn long_lists_are_cut_without_looking_at_every_pair() {
        let ids: Vec<String> = (0..50_000).map(|n| format!("{n:08x}-0000-7000-8000-000000000001")).collect();
        let listed = Listed::of(ids.iter());
        assert!(ids.iter().all(|id| listed.short(id) == id[..13]));
    }

    #[test]
    fn what_is_no_id_is_refused() {
        assert!(check("ps", "0193abcd-4f21").is_ok());
        for bad in ["", "..", "my project", "0193/x", "é"] {
            assert_eq!(check("ps", bad).map_err(|error| error.exit), Err(Exit::NotFound), "{bad}");
        }
    }
}
