//! Who is asked about a request: facts in, a [`crate::ledger::Route`] out. Values only; nothing here touches the world.
//!
//! ```text
//! Facts ─┬─ risk: how much can go wrong
//!        ├─ condition: the rules of the policy, in CEL    ─▶ route: one tree of people, a deadline, what is remembered
//!        └─ who: names and groups of baton.toml
//! ```
//!
//! Whatever goes wrong on the way ends in people being asked, never in an approval.

mod cases;
mod condition;
mod facts;
mod remembered;
mod risk;
mod route;
mod rules;
mod who;

pub use cases::{CaseOutcome, CaseReport, Mismatch, test_cases};
pub use condition::{Condition, Conditions, VARIABLES};
pub use facts::{CapabilityFacts, CheckFacts, EFFECT, Facts, ProjectFacts, SECRET, SpendFacts, TaskFacts, kind_word};
pub use remembered::{secret_subject, subject_of};
pub use risk::risk_of;
pub use route::{Asking, risk_word, route, wire_risk};
pub use rules::{Approvals, PRESET_KEYS, Preset, Rules, RulesError, always_asks, may_ask};
pub use who::{needs, resolve};
