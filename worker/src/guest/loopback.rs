//! Brings the loopback interface up. The guest has no other one, and no `ip` program.
//!
//! One rtnetlink message (RFC 3549; layout in `linux/rtnetlink.h`): a header and an `ifinfomsg` that sets `IFF_UP`.

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketType, netlink::SocketAddrNetlink, recv, sendto, socket};

use crate::port::MachineError;

const RTM_NEWLINK: u16 = 16;
const NLMSG_ERROR: u16 = 2;
/// `NLM_F_REQUEST | NLM_F_ACK`.
const REQUEST_WITH_ACK: u16 = 1 | 4;
const IFF_UP: u32 = 1;
/// The kernel makes the loopback interface first in every network namespace.
const LOOPBACK_INDEX: i32 = 1;
/// Header and body, 16 bytes each.
const MESSAGE_BYTES: u32 = 32;

fn message() -> Vec<u8> {
    let mut message = Vec::with_capacity(32);
    message.extend(MESSAGE_BYTES.to_ne_bytes());
    message.extend(RTM_NEWLINK.to_ne_bytes());
    message.extend(REQUEST_WITH_ACK.to_ne_bytes());
    message.extend(1u32.to_ne_bytes()); // sequence
    message.extend(0u32.to_ne_bytes()); // sender: let the kernel fill it in
    message.extend([0u8; 2]); // any family, padding
    message.extend(0u16.to_ne_bytes()); // any device type
    message.extend(LOOPBACK_INDEX.to_ne_bytes());
    message.extend(IFF_UP.to_ne_bytes()); // flags
    message.extend(IFF_UP.to_ne_bytes()); // which of them to change
    message
}

/// The error number in the kernel's answer; 0 means done.
fn answer_code(answer: &[u8]) -> Option<i32> {
    let kind = u16::from_ne_bytes(*answer.get(4..)?.first_chunk()?);
    let code = i32::from_ne_bytes(*answer.get(16..)?.first_chunk()?);
    (kind == NLMSG_ERROR).then_some(-code)
}

pub(super) fn up() -> Result<(), MachineError> {
    let talk = || -> std::io::Result<()> {
        // No protocol number: NETLINK_ROUTE is 0.
        let socket = socket(AddressFamily::NETLINK, SocketType::RAW, None)?;
        sendto(&socket, &message(), SendFlags::empty(), &SocketAddrNetlink::new(0, 0))?;
        let mut answer = [0u8; 256];
        let (bytes, _) = recv(&socket, &mut answer, RecvFlags::empty())?;
        match answer_code(answer.get(..bytes).unwrap_or_default()) {
            Some(0) => Ok(()),
            Some(code) => Err(std::io::Error::from_raw_os_error(code)),
            None => Err(std::io::ErrorKind::InvalidData.into()),
        }
    };
    talk().map_err(MachineError::at("bring the loopback interface up"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_says_how_long_it_is() {
        let message = message();
        assert_eq!(message.len(), MESSAGE_BYTES as usize);
        assert_eq!(message.first_chunk::<4>(), Some(&MESSAGE_BYTES.to_ne_bytes()));
    }

    #[test]
    fn an_answer_is_an_error_number_or_nothing() {
        let mut answer = vec![0u8; 20];
        answer[4..6].copy_from_slice(&NLMSG_ERROR.to_ne_bytes());
        answer[16..20].copy_from_slice(&(-1i32).to_ne_bytes());
        assert_eq!(answer_code(&answer), Some(1));
        assert_eq!(answer_code(&answer[..10]), None);
        answer[4] = 9;
        assert_eq!(answer_code(&answer), None);
    }
}
