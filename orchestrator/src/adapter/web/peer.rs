//! Who is at the other end of the Unix socket, as the kernel says.

use std::convert::Infallible;

use axum::{
    extract::{ConnectInfo, FromRequestParts, connect_info::Connected},
    http::request::Parts,
    serve::IncomingStream,
};
use bus_schemas::v1::api::Problem;
use tokio::net::{TcpListener, UnixListener};

use super::problem::problem;

/// The channels a client may say it is: the others belong to bridges, which do not come over HTTP.
const CHANNELS: [&str; 2] = ["cli", "web"];

/// The account at the other end; none over TCP.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Peer {
    uid: Option<u32>,
}

impl Connected<IncomingStream<'_, UnixListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, UnixListener>) -> Self {
        Self { uid: stream.io().peer_cred().ok().map(|credentials| credentials.uid()) }
    }
}

impl Connected<IncomingStream<'_, TcpListener>> for Peer {
    fn connect_info(_: IncomingStream<'_, TcpListener>) -> Self {
        Self::default()
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Peer {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get::<ConnectInfo<Self>>().map(|info| info.0).unwrap_or_default())
    }
}

impl Peer {
    /// Who says something over a channel. Where names are not trusted, a person is the account at the other end of the
    /// socket, whatever they say: nobody votes twice by another name.
    ///
    /// # Errors
    /// The channel is a bridge's, or nobody can tell who is there.
    pub(super) fn person(self, trusts_names: bool, channel: &str, by: String) -> Result<String, Problem> {
        if !CHANNELS.contains(&channel) {
            let detail =
                format!("nobody comes over the channel {channel:?} through the API: it is for `cli` and `web`");
            return Err(problem(422, "bad_channel", detail, None));
        }
        if trusts_names {
            return Ok(by);
        }
        self.uid.map(login).ok_or_else(|| {
            let hint = "use the Unix socket on the orchestrator's machine, or set approvals.trust_cli_names";
            problem(403, "unknown_person", "over TCP nobody can tell who you are", Some(hint))
        })
    }
}

/// The name of an account, or its number if it has none.
#[must_use]
pub fn login(uid: u32) -> String {
    let number = uid.to_string();
    let accounts = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name = accounts.lines().find_map(|line| {
        // name:password:uid:… (passwd(5))
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == number).then(|| name.to_owned())
    });
    name.unwrap_or_else(|| format!("uid {number}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_counts_as_much_as_the_socket_says() {
        let own = Peer { uid: Some(0) };
        let far = Peer::default();
        assert_eq!(own.person(false, "cli", "eve".to_owned()).unwrap(), login(0));
        assert_eq!(own.person(true, "cli", "eve".to_owned()).unwrap(), "eve");
        assert_eq!(far.person(true, "cli", "eve".to_owned()).unwrap(), "eve");
        // A member's name over another channel is no way around it.
        assert_eq!(own.person(false, "web", "eve".to_owned()).unwrap(), login(0));
        for channel in CHANNELS {
            assert_eq!(far.person(false, channel, "eve".to_owned()).unwrap_err().code, "unknown_person");
        }
        assert_eq!(own.person(true, "slack", "U1".to_owned()).unwrap_err().code, "bad_channel");
    }
}
