//! The command line: one file per command, over the HTTP API.
//!
//! stdout carries data, stderr the rest. With `--json` every line of stdout is one JSON value of
//! [`bus_schemas::v1::api`], and an error is one [`Problem`](bus_schemas::v1::api::Problem) on stderr. Exit codes are
//! the variants of [`Exit`].

mod answer;
mod apply;
mod approvals;
mod approve;
mod args;
mod ask;
mod asked;
mod audit;
mod budget;
mod cancel;
mod card;
mod child;
mod completions;
mod context;
mod dead_letters;
mod decide;
mod detach;
mod diff;
mod dispatch;
mod doctor;
mod down;
pub mod draw;
mod error;
mod exit;
pub mod findings;
mod health;
mod hosts;
mod ids;
mod ledger_args;
mod letters;
mod live;
mod logs;
mod mail;
mod mail_args;
mod mail_check;
mod models;
mod money;
mod plan;
mod plan_edit;
mod policy;
mod ps;
mod rebuild;
mod remembered;
mod render;
mod replay;
mod reported;
mod run;
mod serve;
mod skills;
mod slack;
mod status;
mod style;
mod tell;
mod tree;
mod ui;
mod up;
mod watch;

pub use args::{Cli, Command};
pub use context::Context;
pub use dispatch::main;
pub use error::CliError;
pub use exit::Exit;
pub use ui::Ui;
