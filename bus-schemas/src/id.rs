//! Identifiers: one newtype per thing, each a UUID of version 7 (RFC 9562), so that they sort by age.
//!
//! Nothing in this crate makes an id: randomness belongs to the edge (the `Ids` port of each service).

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// Wraps a UUID that the caller made (version 7 by convention).
            #[must_use]
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The UUID inside.
            #[must_use]
            pub const fn as_uuid(&self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::try_parse(text).map(Self)
            }
        }
    )*};
}

ids! {
    /// One delegated goal with its folder, owner, budget, policy and life.
    ProjectId;
    /// A node of a project's task graph.
    TaskId;
    /// A machine that runs vm-pool.
    HostId;
    /// The use of one VM by one attempt (or by its checks).
    LeaseId;
    /// A question to people.
    ApprovalId;
    /// One message on the bus; the idempotency key of its publisher.
    MessageId;
    /// Made by a host for every claim it tries: tells two claims of the same attempt apart.
    ClaimNonce;
}

/// The place of one attempt: which task of which project, and the how-manyth try. The number fences: only the
/// current attempt of a task is heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AttemptRef {
    /// The project.
    pub project_id: ProjectId,
    /// The task.
    pub task_id: TaskId,
    /// The attempt, counted from 1.
    pub number: u32,
}

impl fmt::Display for AttemptRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}#{}", self.project_id, self.task_id, self.number)
    }
}
