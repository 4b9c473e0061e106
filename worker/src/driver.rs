//! The worker's loop.

use tokio::io::{AsyncRead, AsyncWrite};

use crate::port::Machine;

/// Serves a host until it hangs up. `control` and `data` are the two ports of [`bus_schemas::v1::guest`].
///
/// # Errors
/// [`ServeError`] if a port failed; a host that hangs up is a normal end.
pub async fn serve<C, D, M>(control: C, data: D, machine: M) -> Result<(), ServeError>
where
    C: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    D: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    M: Machine,
{
    let _ = (control, data, machine);
    Ok(())
}

/// The worker cannot serve any longer.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The control port failed.
    #[error("use the control port")]
    Control(#[source] std::io::Error),
}
