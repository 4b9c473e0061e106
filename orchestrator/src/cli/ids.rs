//! Ids as people see and type them.

use std::fmt::Display;

use super::{CliError, Exit};

/// Where an id may be cut: after a group, but not before the whole time stamp of a version 7 UUID (the first 12
/// digits) is in it, because ids of one afternoon share the digits before.
const CUTS: [usize; 4] = [13, 18, 23, 36];

/// The shortest cut at which `id` differs from all `others`.
pub(super) fn short<I: Display>(id: &I, others: impl Iterator<Item = I> + Clone) -> String {
    let full = id.to_string();
    for cut in CUTS {
        let Some(prefix) = full.get(..cut) else { break };
        let alike = others.clone().map(|other| other.to_string());
        if alike.filter(|other| *other != full && other.starts_with(prefix)).count() == 0 {
            return prefix.to_owned();
        }
    }
    full
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
        let cut = |id: &str| short(&id, ids.iter().copied());
        assert_eq!(cut(ids[2]), "0193abcd-4f22");
        assert_eq!(cut(ids[0]), "0193abcd-4f21-7000-8000");
        assert_eq!(alone(&ids[0]), "0193abcd-4f21");
    }

    #[test]
    fn what_is_no_id_is_refused() {
        assert!(check("ps", "0193abcd-4f21").is_ok());
        for bad in ["", "..", "my project", "0193/x", "é"] {
            assert_eq!(check("ps", bad).map_err(|error| error.exit), Err(Exit::NotFound), "{bad}");
        }
    }
}
