//! Finds and reads Agent Skills: folders with a `SKILL.md` (<https://agentskills.io/specification>).
//!
//! Loading is lenient, as the standard's guide for clients asks: what is merely untidy (a name that is not the
//! folder's, a description that is too long) is a [`Notice`], what cannot be used (no description, broken YAML) is
//! left out with a notice. Nothing a skill says is a grant: `allowed-tools` is kept as the request that it is.
//!
//! ```text
//! roots, highest precedence first          catalog
//!   <folder>/.agents/skills ─┐   discover   name → Skill { description, files + digests, tree digest }
//!   <folder>/.claude/skills  ├─────────────▶ notices: shadowed, untidy, left out
//!   <folder>/skills          │
//!   ~/.agents/skills         │
//!   bundled                 ─┘
//! ```

mod catalog;
mod frontmatter;
mod tree;

pub use catalog::{Catalog, Notice, NoticeKind, Skill, Source, roots_for};
pub use frontmatter::{Frontmatter, FrontmatterError};
pub use tree::{SkillFile, TreeError};
