//! Agent Skills: folders with a `SKILL.md` (<https://agentskills.io/specification>), found, read, checked, scanned,
//! locked, packed, added and exported.
//!
//! Loading is lenient, as the standard's guide for clients asks: what is merely untidy (a name that is not the
//! folder's, a description that is too long) is a [`Notice`], what cannot be used (no description, broken YAML, a name
//! that would lead out of its folder) is left out with a notice. [`validate`] is strict. Nothing a skill says is a
//! grant: `allowed-tools` is kept as the request that it is.
//!
//! ```text
//! roots, highest precedence first          catalog: heads only
//!   <folder>/.agents/skills ─┐   discover   name → Skill { description, folder }
//!   <folder>/.claude/skills  ├─────────────▶ notices: shadowed, untidy, left out
//!   <folder>/skills          │                │ resolve(names, catalog, locks): files, once
//!   ~/.agents/skills         │                ▼
//!   ~/.claude/skills         │             Resolved { packed: tar + digests, status, findings }
//!   $XDG_DATA_HOME/baton/skills               ▲
//!   bundled                 ─┘             .agents/skills.lock ◀── add, lock (a person)
//! ```

mod add;
mod catalog;
mod evals;
mod export;
mod files;
mod finding;
mod frontmatter;
mod load;
mod lock;
mod pack;
mod resolve;
mod roots;
mod scan;
mod tree;
mod validate;

pub use add::{Added, Admission, Candidate, Fetched, candidates, fetch, install, proposed};
pub use catalog::{Catalog, Notice, NoticeKind, Skill};
pub use evals::{Check, Eval, Evals, Outcome, perform};
pub use export::{Deed, Exported, export, remove};
pub use finding::{Class, Finding, Severity, SkillError, worst};
pub use frontmatter::{Field, FieldKind, Frontmatter, FrontmatterError};
pub use lock::{Lock, Locked, Standing};
pub use pack::{Packed, pack};
pub use resolve::{Locks, Resolved, Status, find, resolve, resolve_one};
pub use roots::{LOCKFILE, PROJECT_SKILLS, Source, roots_for, roots_with_data};
pub use scan::scan;
pub use tree::{SkillFile, TreeError};
pub use validate::validate;
