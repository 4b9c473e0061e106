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

/// Makes the guest a machine of its own and puts the tree in.
pub(super) async fn prepare<V: Vm>(leased: &mut Leased<V>, tree: std::fs::File) -> Result<(), Failure> {
    let identity = identity(leased)?;
    let session = &leased.session;
    let work = async {
        session.rejuvenate(&identity, Instant::now() + REJUVENATE_WAIT).await?;
        session.push_workspace(tokio::fs::File::from_std(tree), Instant::now() + UNPACK_WAIT).await
    };
    tokio::select! {
        done = work => done.map(drop).map_err(Failure::from),
        reason = leased.vm.exited() => Err(vm_gone(&reason)),
    }
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
