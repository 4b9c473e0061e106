//! Looks a new identity over before any of it is applied.

use base64::{Engine, prelude::BASE64_STANDARD};
use bus_schemas::v1::guest::{ENTROPY_BYTES, Rejuvenate};

/// The kernel's limit for host names.
const HOSTNAME_BYTES: usize = 64;

/// Says what is wrong with an identity.
pub(crate) fn check(identity: &Rejuvenate) -> Result<(), String> {
    let entropy = BASE64_STANDARD.decode(&identity.entropy).map_err(|error| format!("entropy: {error}"))?;
    if entropy.len() != ENTROPY_BYTES {
        return Err(format!("entropy of {} bytes, not {ENTROPY_BYTES}", entropy.len()));
    }
    let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if identity.machine_id.len() != 32 || !identity.machine_id.bytes().all(hex) {
        return Err("a machine id that is not 32 lower-case hex digits".into());
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
    let name = identity.hostname.as_bytes();
    if name.is_empty() || name.len() > HOSTNAME_BYTES || !name.iter().copied().all(allowed) {
        return Err("a host name that is none".into());
    }
    if identity.wall_ns <= 0 {
        return Err("a clock before 1970".into());
    }
    if identity.lease_token.is_empty() { Err("an empty lease token".into()) } else { Ok(()) }
}
