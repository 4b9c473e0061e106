//! Gives the kernel's random number generator the host's entropy, at once.
//!
//! A VM that was cloned, or booted with nothing unpredictable around it, may share its generator's state with another one.
//! `RNDADDENTROPY` mixes the host's bytes into the pool and `RNDRESEEDCRNG` makes the generator use them from the next byte on;
//! without the second, the kernel would wait up to a minute (drivers/char/random.c).

use std::{fs::OpenOptions, io::Read as _};

use bus_schemas::v1::guest::ENTROPY_BYTES;
use rustix::ioctl::{NoArg, Setter, ioctl, opcode};

use crate::port::MachineError;

/// `struct rand_pool_info` of `linux/random.h`, with its open-ended buffer at the size that is sent.
#[repr(C)]
struct PoolInfo {
    entropy_bits: i32,
    buffer_bytes: i32,
    buffer: [u8; ENTROPY_BYTES],
}

/// `_IOW('R', 0x03, int[2])`: the number names the fixed part of the struct only.
const RNDADDENTROPY: rustix::ioctl::Opcode = opcode::write::<[i32; 2]>(b'R', 0x03);
/// `_IO('R', 0x07)`.
const RNDRESEEDCRNG: rustix::ioctl::Opcode = opcode::none(b'R', 0x07);

/// Mixes `entropy` in and reseeds.
pub(super) fn add(entropy: &[u8; ENTROPY_BYTES]) -> Result<(), MachineError> {
    let random = OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/urandom")
        .map_err(MachineError::at("open /dev/urandom"))?;
    // 64 bytes fit any integer.
    let bytes = i32::try_from(ENTROPY_BYTES).unwrap_or(0);
    let info = PoolInfo { entropy_bits: bytes * 8, buffer_bytes: bytes, buffer: *entropy };
    // SAFETY: the opcode and the struct are those of linux/random.h: two ints, then `buffer_bytes` bytes, which the struct
    // holds; the kernel only reads it, and only during the call.
    #[expect(unsafe_code, reason = "there is no safe wrapper for this ioctl, and no other way to credit entropy")]
    let added = unsafe { ioctl(&random, Setter::<RNDADDENTROPY, PoolInfo>::new(info)) };
    added.map_err(|errno| MachineError::at("add entropy")(errno.into()))?;
    // SAFETY: RNDRESEEDCRNG takes no argument and touches no memory of ours.
    #[expect(unsafe_code, reason = "there is no safe wrapper for this ioctl, and no other way to reseed at once")]
    let reseeded = unsafe { ioctl(&random, NoArg::<RNDRESEEDCRNG>::new()) };
    reseeded.map_err(|errno| MachineError::at("reseed the random number generator")(errno.into()))
}

/// A random (version 4) UUID as text.
pub(super) fn uuid() -> Result<String, MachineError> {
    let mut bytes = [0u8; 16];
    std::fs::File::open("/dev/urandom")
        .and_then(|mut random| random.read_exact(&mut bytes))
        .map_err(MachineError::at("read /dev/urandom"))?;
    Ok(format_uuid(bytes))
}

fn format_uuid(mut bytes: [u8; 16]) -> String {
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let mut text = String::with_capacity(36);
    for (index, byte) in bytes.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.push_str(&format!("{byte:02x}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opcodes_are_the_kernels() {
        assert_eq!(RNDADDENTROPY, 0x4008_5203);
        assert_eq!(RNDRESEEDCRNG, 0x5207);
    }

    #[test]
    fn uuids_are_version_4() {
        assert_eq!(format_uuid([0xff; 16]), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_eq!(format_uuid([0; 16]), "00000000-0000-4000-8000-000000000000");
    }
}
