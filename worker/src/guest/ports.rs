//! The virtio-serial ports as streams that tokio can use.
//!
//! A port is a character device that polls in odd ways: while the host is not there, a read gives end of file at once and poll
//! reports a hang-up for ever, which would turn an event loop into a busy loop. Two plain threads per port, one reading and
//! one writing with blocking calls, have none of this. They meet the async side in a bounded in-memory pipe, so a
//! slow reader still slows the other side down.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, ReadHalf, WriteHalf, duplex, split},
    runtime::Handle,
};

use super::wait;

/// Bytes on their way between a port's threads and the async side, each direction. The driver moves at most 32 KiB a call.
const PIPE_BYTES: usize = 128 * 1024;
const CHUNK_BYTES: usize = 32 * 1024;
/// How long a port may take to appear: it is announced by the host after the driver came up.
const APPEARS_WITHIN: Duration = Duration::from_secs(30);
/// How long the host may be gone before the stream ends.
const HOST_GONE_AFTER: Duration = Duration::from_secs(10);

/// A port could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum PortError {
    /// The machine has no port of that name.
    #[error("find the port {name}")]
    Missing {
        /// The port's name.
        name: String,
    },
    /// It is there but cannot be used.
    #[error("open the port {name}")]
    Open {
        /// The port's name.
        name: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// Opens the port called `name`. Call within a tokio runtime. The stream ends when the host is gone for good.
///
/// # Errors
/// [`PortError`].
pub fn open_port(name: &str) -> Result<DuplexStream, PortError> {
    let path = find(name)?;
    let failed = |source| PortError::Open { name: name.to_owned(), source };
    let incoming = OpenOptions::new().read(true).write(true).open(&path).map_err(failed)?;
    let outgoing = incoming.try_clone().map_err(failed)?;
    let (near, far) = duplex(PIPE_BYTES);
    let (from_driver, to_driver) = split(far);
    let runtime = Handle::current();
    let reader = runtime.clone();
    thread::Builder::new()
        .name(format!("{name} in"))
        .spawn(move || read(incoming, to_driver, &reader))
        .map_err(failed)?;
    thread::Builder::new()
        .name(format!("{name} out"))
        .spawn(move || write(outgoing, from_driver, &runtime))
        .map_err(failed)?;
    Ok(near)
}

/// There is no udev here to make the named links, so the names are read where the kernel shows them.
fn find(name: &str) -> Result<PathBuf, PortError> {
    let until = Instant::now() + APPEARS_WITHIN;
    loop {
        if let Some(device) = find_below(Path::new("/sys/class/virtio-ports"), name) {
            return Ok(Path::new("/dev").join(device));
        }
        if Instant::now() > until {
            return Err(PortError::Missing { name: name.to_owned() });
        }
        wait::look_again();
    }
}

fn find_below(class: &Path, name: &str) -> Option<std::ffi::OsString> {
    fs::read_dir(class).ok()?.flatten().find_map(|entry| {
        let found = fs::read_to_string(entry.path().join("name")).ok()?;
        (found.trim() == name).then(|| entry.file_name())
    })
}

fn read(mut port: File, mut to: WriteHalf<DuplexStream>, runtime: &Handle) {
    let mut chunk = vec![0u8; CHUNK_BYTES];
    let mut silent_since: Option<Instant> = None;
    loop {
        match port.read(&mut chunk) {
            // The host is not there: not yet, or no more.
            Ok(0) => {
                if silent_since.get_or_insert_with(Instant::now).elapsed() > HOST_GONE_AFTER {
                    break;
                }
                wait::look_again();
            }
            Ok(bytes) => {
                silent_since = None;
                if runtime.block_on(to.write_all(chunk.get(..bytes).unwrap_or_default())).is_err() {
                    break;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    let _ = runtime.block_on(to.shutdown());
}

fn write(mut port: File, mut from: ReadHalf<DuplexStream>, runtime: &Handle) {
    let mut chunk = vec![0u8; CHUNK_BYTES];
    while let Ok(bytes @ 1..) = runtime.block_on(from.read(&mut chunk)) {
        let mut left = chunk.get(..bytes).unwrap_or_default();
        while !left.is_empty() {
            match port.write(left) {
                Ok(0) => wait::look_again(),
                Ok(written) => left = left.get(written..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_found_by_its_name() {
        let class = tempfile::tempdir().unwrap();
        for (device, name) in [("vport0p1", "baton.control\n"), ("vport0p2", "baton.data\n")] {
            fs::create_dir(class.path().join(device)).unwrap();
            fs::write(class.path().join(device).join("name"), name).unwrap();
        }
        assert_eq!(find_below(class.path(), "baton.data"), Some("vport0p2".into()));
        assert_eq!(find_below(class.path(), "baton"), None);
        assert_eq!(find_below(Path::new("/nonexistent"), "baton"), None);
    }
}
