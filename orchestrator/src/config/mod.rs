//! The configuration: defaults < `baton.toml` < environment `BATON_<SECTION>_<KEY>` < flags.
//!
//! A key nobody knows is an error that names the file, the line and the nearest key there is: a typing error in a
//! configuration must not look like a setting that has no effect.

mod error;
mod load;
mod mail;
mod model;
mod secrets;
mod slack;

pub use error::ConfigError;
pub use load::{Overrides, Source, load};
pub use mail::{Audience, Dkim, MAIL_VARIABLES, Mail, MailServer, News, OAuth, Tls, Webhooks};
pub use model::{Bus, Config, Folder, Orchestrator, Pool, Secret};
pub use slack::{SLACK_API_URL, SLACK_VARIABLES, Slack};
