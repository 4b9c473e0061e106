//! What a request's card says, on whatever channel it is read: the risk, what is asked and what proves it, what was spent, what
//! follows, what people asked about it, who decides. It is worked out once, here; a channel draws it.
//!
//! What agents, files and people say is in it as it came, marked as theirs ([`Span`], [`Block::Quote`], [`Block::Code`]): nothing of it
//! is safe to show. A channel cleans it, takes what looks like a secret out, keeps it from linking, mentioning and formatting, and
//! cuts it. How much of everything there is to be, it says with a [`Room`].

pub mod evidence;
mod kinds;
mod model;
pub mod next;
pub mod route;
#[cfg(test)]
mod tests;

use bus_schemas::v1::api::{ApprovalView, ProjectView};

pub use self::model::{Block, Item, Line, Mark, Room, Section, Span, Topic};

/// All that is said about a request, in the order in which a person wants to read it.
#[must_use]
pub fn of(approval: &ApprovalView, project: &ProjectView, room: &Room) -> Vec<Section> {
    let mut sections = vec![route::risk(&approval.route)];
    sections.extend(kinds::sections(approval, room));
    sections.extend(next::spend(&project.spend, approval.handoff.as_ref()));
    sections.push(next::next(approval, project));
    sections.extend(route::talk(&approval.route.questions, room));
    sections.push(route::who(&approval.route, route::deadline(approval)));
    sections
}
