//! Leasing a VM, from the side of whoever needs one, and keeping it, from the side of the pool.

use std::{sync::Arc, time::Duration};

use bus_schemas::{id::LeaseId, v1::task::Machine};
use tokio::{
    sync::{
        mpsc,
        oneshot::{self, error::TryRecvError},
    },
    time::Instant,
};
use uuid::Uuid;

use crate::{
    adapter::session::Session,
    driver::Notice,
    pool::{Refusal, Shape, VmId},
    port::{Hypervisor, Vm},
};

/// From the start of a VM's process to its hello. Emulation on a busy machine takes many seconds; a guest that takes
/// longer than this will not come.
const HELLO_WAIT: Duration = Duration::from_secs(90);
/// To rehearse: the guest gives up long before.
const REHEARSAL_WAIT: Duration = Duration::from_secs(60);
/// A VM that cannot be resumed is replaced this many times before the attempt is told.
const RESUME_TRIES: usize = 3;

/// A VM in use. Ending it (or dropping it) kills the VM: nothing is used twice.
#[derive(Debug)]
pub struct Leased<V> {
    /// The lease.
    pub lease: LeaseId,
    /// The VM.
    pub vm: V,
    /// The channel to its guest.
    pub session: Session,
    /// When it was granted.
    pub since: Instant,
}

/// Where leases are asked for.
#[derive(Debug)]
pub struct Leases<V> {
    notices: mpsc::Sender<Notice<V>>,
}

impl<V> Clone for Leases<V> {
    fn clone(&self) -> Self {
        Self { notices: self.notices.clone() }
    }
}

/// A granted VM on its way to whoever asked, or why there is none.
pub type Grant<V> = Result<(V, Session), Refusal>;

impl<V: Vm> Leases<V> {
    pub(crate) const fn new(notices: mpsc::Sender<Notice<V>>) -> Self {
        Self { notices }
    }

    /// Waits for a VM. `lease` must be fresh, and released ([`Self::release`]) whatever comes of it.
    ///
    /// # Errors
    /// [`Refusal`] if there will be none.
    pub async fn ask(&self, lease: LeaseId, machine: &Machine) -> Result<Leased<V>, Refusal> {
        let (reply, granted) = oneshot::channel();
        let asked = Notice::LeaseAsked { lease, shape: shape_of(machine), reply };
        self.notices.send(asked).await.map_err(|_| Refusal::Draining)?;
        // The keeper went between the grant and the handing over: its VM died.
        let gone = |_| Refusal::Broken { detail: "the VM ended before it was handed out".to_owned(), exhausted: false };
        let (vm, session) = granted.await.map_err(gone)??;
        Ok(Leased { lease, vm, session, since: Instant::now() })
    }

    /// Asks again with a fresh lease if the VM that was granted turned out to be dead.
    ///
    /// # Errors
    /// [`Refusal`] if there will be none.
    pub async fn take(&self, machine: &Machine, mut note: impl FnMut(LeaseId) + Send) -> Result<Leased<V>, Refusal> {
        let mut last = Refusal::Draining;
        for _ in 0..RESUME_TRIES {
            let lease = LeaseId::from_uuid(Uuid::now_v7());
            note(lease);
            match self.ask(lease, machine).await {
                Err(refusal @ Refusal::Broken { .. }) => {
                    self.release(lease).await;
                    last = refusal;
                }
                other => return other,
            }
        }
        Err(last)
    }

    /// Says that a lease's VM runs its program now.
    pub async fn started(&self, lease: LeaseId) {
        let _ = self.notices.send(Notice::LeaseStarted { lease }).await;
    }

    /// Says that a lease is over.
    pub async fn release(&self, lease: LeaseId) {
        let _ = self.notices.send(Notice::LeaseReleased { lease }).await;
    }
}

/// The core's word for a machine.
#[must_use]
pub fn shape_of(machine: &Machine) -> Shape {
    Shape {
        cpus: machine.cpus,
        memory_mib: machine.memory_mib,
        disk_mib: machine.disk_mib,
        image: machine.image.clone(),
    }
}

/// The wire's word for a shape.
#[must_use]
pub fn machine_of(shape: &Shape) -> Machine {
    Machine { cpus: shape.cpus, memory_mib: shape.memory_mib, disk_mib: shape.disk_mib, image: shape.image.clone() }
}

/// What the pool orders the keeper of a VM to do. Dropping the sender means: kill it.
pub(crate) type Order<V> = oneshot::Sender<Grant<V>>;

/// Boots a VM and waits with it until it is handed out, ordered away, or dies. One that nobody waits for rehearses, and its
/// processors are stopped.
pub(crate) async fn keep<H: Hypervisor>(
    hypervisor: Arc<H>,
    vm: VmId,
    shape: Shape,
    mut order: oneshot::Receiver<Order<H::Vm>>,
    notices: mpsc::Sender<Notice<H::Vm>>,
) {
    let booted = tokio::select! {
        booted = boot(&*hypervisor, &shape) => booted,
        _ = &mut order => return,
    };
    let (mut machine, session) = match booted {
        Ok(up) => up,
        Err((detail, exhausted)) => {
            tracing::warn!(vm, %detail, "a vm did not boot");
            let _ = notices.send(Notice::BootFailed { vm, detail, exhausted }).await;
            return;
        }
    };
    tracing::info!(vm, "a vm is up");
    let (heard, answered) = oneshot::channel();
    if notices.send(Notice::Booted { vm, heard }).await.is_err() {
        return machine.kill().await;
    }
    let _ = answered.await;
    // Whoever waits gets it as it is; what nobody waits for has time to get faster.
    let at_once = match order.try_recv() {
        Err(TryRecvError::Empty) => None,
        other => Some(other.ok()),
    };
    let ordered = match at_once {
        Some(ordered) => Ok(ordered),
        None => wait_as_spare(&mut machine, &session, &mut order).await,
    };
    let ordered = match ordered {
        Ok(ordered) => ordered,
        Err(reason) => {
            machine.kill().await;
            return died(vm, reason, &notices).await;
        }
    };
    match ordered {
        None => machine.kill().await,
        Some(reply) => match machine.resume().await {
            Ok(()) => {
                tracing::info!(vm, "a vm is handed out");
                drop(reply.send(Ok((machine, session))));
            }
            Err(e) => {
                let _ = reply.send(Err(Refusal::Broken { detail: e.to_string(), exhausted: e.exhausted }));
                machine.kill().await;
            }
        },
    }
}

/// Waits for the order; `None` if the VM is to go. An error says why it is gone already.
async fn wait_as_spare<V: Vm>(
    machine: &mut V,
    session: &Session,
    order: &mut oneshot::Receiver<Order<V>>,
) -> Result<Option<Order<V>>, String> {
    {
        let settling = settle_down(machine, session);
        tokio::pin!(settling);
        tokio::select! {
            settled = &mut settling => settled?,
            ordered = &mut *order => return match ordered {
                // Wanted in the middle of its rehearsal, which ends with the step it is at.
                Ok(ordered) => {
                    session.stop("wanted").await.map_err(|e| e.to_string())?;
                    settling.await.map(|()| Some(ordered))
                }
                Err(_) => Ok(None),
            },
        }
    }
    tokio::select! {
        ordered = order => Ok(ordered.ok()),
        reason = machine.exited() => Err(reason),
        reason = session.ended() => Err(reason.to_string()),
    }
}

/// Lets a spare rehearse and stops its processors.
async fn settle_down<V: Vm>(machine: &mut V, session: &Session) -> Result<(), String> {
    tokio::select! {
        rehearsed = session.rehearse(Instant::now() + REHEARSAL_WAIT) => rehearsed.map_err(|e| e.to_string())?,
        reason = machine.exited() => return Err(reason),
    }
    machine.pause().await.map_err(|e| e.to_string())
}

async fn died<V>(vm: VmId, reason: String, notices: &mpsc::Sender<Notice<V>>) {
    tracing::warn!(vm, %reason, "a spare vm died");
    let _ = notices.send(Notice::Died { vm }).await;
}

async fn boot<H: Hypervisor>(hypervisor: &H, shape: &Shape) -> Result<(H::Vm, Session), (String, bool)> {
    let deadline = Instant::now() + HELLO_WAIT;
    let (mut vm, channels) = hypervisor.start(&machine_of(shape)).await.map_err(|e| (e.to_string(), e.exhausted))?;
    let session = Session::open(channels);
    tokio::select! {
        hello = session.hello(deadline) => {
            hello.map_err(|e| (e.to_string(), false))?;
        }
        reason = vm.exited() => return Err((reason, false)),
    }
    Ok((vm, session))
}
