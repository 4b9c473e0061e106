//! From a host to addresses that may be reached.

use std::{
    fmt, io,
    net::{IpAddr, SocketAddr},
};

use futures::future::BoxFuture;
use tokio::net::lookup_host;

use super::{
    address::{CARRIER_GRADE, PRIVATE, refusal},
    rules::Host,
};

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

/// Which addresses are let through beside those of the public internet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Allowed {
    /// None.
    Public,
    /// Those of one's own network, if a name leads there; any, if the address itself was written: whoever looks after a name
    /// must not be able to lead it to this machine.
    Network,
    /// The same, and none of the public internet.
    Own,
    /// All, in tests.
    #[cfg(test)]
    All,
}

impl Allowed {
    fn lets(self, host: &Host, why: &'static str) -> bool {
        match self {
            Self::Public => false,
            Self::Network | Self::Own => matches!(host, Host::Address(_)) || matches!(why, PRIVATE | CARRIER_GRADE),
            #[cfg(test)]
            Self::All => true,
        }
    }
}

/// The addresses of a target that may be connected to. What is connected to is one of these, and nothing is resolved again.
pub(super) async fn targets(
    resolver: &dyn Resolve,
    host: &Host,
    port: u16,
    allowed: Allowed,
) -> Result<Vec<SocketAddr>, NoAddress> {
    let found = match host {
        Host::Address(address) => vec![*address],
        Host::Name(name) => resolver.lookup(name).await.map_err(|e| NoAddress::Unknown(e.to_string()))?,
    };
    let why = found.iter().find_map(|address| refusal(*address));
    let is_known = !found.is_empty();
    let mut public: Vec<SocketAddr> = found
        .into_iter()
        .filter(|address| refusal(*address).map_or(allowed != Allowed::Own, |why| allowed.lets(host, why)))
        .map(|address| SocketAddr::new(address, port))
        .collect();
    // They are tried in order; IPv6 without a way out would cost the whole wait.
    public.sort_by_key(SocketAddr::is_ipv6);
    match why {
        _ if !public.is_empty() => Ok(public),
        Some(why) => Err(NoAddress::Refused(why)),
        None if is_known => Err(NoAddress::Unknown(
            "it has a public address, and is to be reached on a private network only".to_owned(),
        )),
        None => Err(NoAddress::Unknown("it has no address".to_owned())),
    }
}
