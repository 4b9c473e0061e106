//! From a host to addresses that may be reached.

use std::{
    fmt, io,
    net::{IpAddr, SocketAddr},
};

use futures::future::BoxFuture;
use tokio::net::lookup_host;

use super::{address::refusal, rules::Host};

/// Finds the addresses of a name.
pub(super) trait Resolve: fmt::Debug + Send + Sync {
    /// All of them.
    fn lookup<'a>(&'a self, name: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>>;
}

/// This machine's resolver.
#[derive(Debug)]
pub(super) struct System;

impl Resolve for System {
    fn lookup<'a>(&'a self, name: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        Box::pin(async move { Ok(lookup_host((name, 0)).await?.map(|address| address.ip()).collect()) })
    }
}

/// Why there is no address to connect to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NoAddress {
    /// Every address is refused; why the first one is.
    Refused(&'static str),
    /// The name does not resolve.
    Unknown(String),
}

/// The addresses of a target that may be connected to. What is connected to is one of these, and nothing is resolved again.
pub(super) async fn targets(
    resolver: &dyn Resolve,
    host: &Host,
    port: u16,
    allow_private: bool,
) -> Result<Vec<SocketAddr>, NoAddress> {
    let found = match host {
        Host::Address(address) => vec![*address],
        Host::Name(name) => resolver.lookup(name).await.map_err(|e| NoAddress::Unknown(e.to_string()))?,
    };
    let why = found.iter().find_map(|address| refusal(*address));
    let mut public: Vec<SocketAddr> = found
        .into_iter()
        .filter(|address| allow_private || refusal(*address).is_none())
        .map(|address| SocketAddr::new(address, port))
        .collect();
    // They are tried in order; IPv6 without a way out would cost the whole wait.
    public.sort_by_key(SocketAddr::is_ipv6);
    match why {
        _ if !public.is_empty() => Ok(public),
        Some(why) => Err(NoAddress::Refused(why)),
        None => Err(NoAddress::Unknown("it has no address".to_owned())),
    }
}
