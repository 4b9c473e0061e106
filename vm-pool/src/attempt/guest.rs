//! What is asked of one guest during a lease, with every wait bounded.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bus_schemas::v1::{
    guest::{ENTROPY_BYTES, Rejuvenate},
    task::FailureReason,
};
use tokio::time::Instant;
use uuid::Uuid;

use super::Failure;
use crate::{adapter::session::Session, lease::Leased, port::Vm};

/// A guest that is asked for a sign of life answers within this; emulation on a busy machine is slow.
const PONG_WAIT: Duration = Duration::from_secs(30);
/// Between two questions for a sign of life.
const PING_EVERY: Duration = Duration::from_secs(5);
/// To take over entropy, clock and names.
const REJUVENATE_WAIT: Duration = Duration::from_secs(30);
/// To unpack a tree; a large one on a slow machine takes minutes.
const UNPACK_WAIT: Duration = Duration::from_secs(600);

/// Makes the guest a machine of its own and puts the tree in. A guest that does not live through it is noticed.
pub(super) async fn prepare<V: Vm>(leased: &mut Leased<V>, tree: std::fs::File) -> Result<(), Failure> {
    let identity = identity(leased)?;
    attended(leased, async |session| {
        session.rejuvenate(&identity, Instant::now() + REJUVENATE_WAIT).await?;
        session.push_workspace(tokio::fs::File::from_std(tree), Instant::now() + UNPACK_WAIT).await
    })
    .await
    .map(drop)
}

fn identity<V>(leased: &Leased<V>) -> Result<Rejuvenate, Failure> {
    let mut entropy = [0; ENTROPY_BYTES];
    let mut machine_id = [0; 16];
    getrandom::fill(&mut entropy)
        .and_then(|()| getrandom::fill(&mut machine_id))
        .map_err(|e| Failure::new(FailureReason::HostError, format!("read the host's entropy: {e}")))?;
    let token = leased.lease.as_uuid().simple().to_string();
    let wall_ns = jiff::Timestamp::now().as_nanosecond();
    Ok(Rejuvenate {
        entropy: STANDARD.encode(entropy),
        wall_ns: i64::try_from(wall_ns).unwrap_or(i64::MAX),
        hostname: format!("baton-{}", &token[token.len() - 8..]),
        machine_id: Uuid::from_bytes(machine_id).simple().to_string(),
        lease_token: token,
    })
}

/// Waits for `answer` while the guest shows that it lives: it must answer pings, and its VM must not end.
pub(super) async fn attended<V: Vm, T, E: Into<Failure>>(
    leased: &mut Leased<V>,
    answer: impl AsyncFnOnce(&Session) -> Result<T, E>,
) -> Result<T, Failure> {
    let session = &leased.session;
    let pings = async {
        loop {
            tokio::time::sleep(PING_EVERY).await;
            if let Err(error) = session.ping(Instant::now() + PONG_WAIT).await {
                return error;
            }
        }
    };
    tokio::select! {
        answer = answer(session) => answer.map_err(Into::into),
        error = pings => Err(Failure::from(error)),
        reason = leased.vm.exited() => Err(vm_gone(&reason)),
    }
}

fn vm_gone(reason: &str) -> Failure {
    Failure::new(FailureReason::GuestLost, format!("the VM ended: {reason}"))
}

#[cfg(test)]
mod tests {
    use std::io::{Seek as _, Write as _};

    use bus_schemas::{
        frame,
        id::LeaseId,
        v1::guest::{FromGuest, ToGuest},
    };
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::UnixStream,
    };

    use super::*;
    use crate::port::{Channels, StartError};

    /// A VM that never ends by itself.
    struct Endless;

    impl Vm for Endless {
        async fn pause(&mut self) -> Result<(), StartError> {
            Ok(())
        }

        async fn resume(&mut self) -> Result<(), StartError> {
            Ok(())
        }

        async fn exited(&mut self) -> String {
            std::future::pending().await
        }

        async fn kill(self) {}
    }

    /// Takes its identity, and is not heard of again.
    async fn falls_silent(mut control: UnixStream) {
        let length = control.read_u32().await.unwrap();
        let mut body = vec![0; length as usize];
        control.read_exact(&mut body).await.unwrap();
        let ToGuest::Rejuvenate(to) = serde_json::from_slice(&body).unwrap() else { panic!("not its identity") };
        let done = FromGuest::Rejuvenated { lease_token: to.lease_token, wall_ns: to.wall_ns };
        control.write_all(&frame::encode(&serde_json::to_vec(&done).unwrap()).unwrap()).await.unwrap();
        std::future::pending::<()>().await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_guest_that_falls_silent_while_it_unpacks_is_given_up() {
        let (control, guest_control) = UnixStream::pair().unwrap();
        let (data, _guest_data) = UnixStream::pair().unwrap();
        let silent = tokio::spawn(falls_silent(guest_control));
        let mut leased = Leased {
            lease: LeaseId::from_uuid(Uuid::from_u128(1)),
            vm: Endless,
            session: Session::open(Channels { control, data }),
            since: Instant::now(),
        };
        let mut tree = tempfile::tempfile().unwrap();
        tree.write_all(&[0; 1024]).unwrap();
        tree.rewind().unwrap();
        let begun = Instant::now();
        let failure = prepare(&mut leased, tree).await.unwrap_err();
        assert_eq!(failure.reason, FailureReason::GuestLost, "{}", failure.detail);
        assert!(begun.elapsed() < UNPACK_WAIT, "long before a large tree could be unpacked");
        silent.abort();
    }
}
