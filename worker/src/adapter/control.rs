//! The control port: frames in, frames out, neither waiting for the other.

use std::{io, time::Duration};

use bus_schemas::{
    frame::{self, Decoder},
    v1::guest::{FromGuest, RefusalCode, ToGuest},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    sync::mpsc,
};

/// Messages between the port and the driver; the host asks one thing at a time, so this is never the bottleneck.
pub(crate) const QUEUE: usize = 64;
/// Read at once, in bytes.
const READ_BYTES: usize = 8 * 1024;
/// A frame that stays incomplete for so long lost its end (or this is the end of one that lost its beginning, to a port that was not
/// open yet): forget it. Hosts write a frame at once; a large one on an emulated machine still moves all the time.
const STALE: Duration = Duration::from_secs(1);

/// What came in.
#[derive(Debug)]
pub(crate) enum Incoming {
    /// A message.
    Message(Box<ToGuest>),
    /// Bytes that are none; why.
    Garbage(String),
}

/// Reads frames until the host hangs up. Garbage is reported, then reading goes on with the next bytes that come.
pub(crate) async fn read<R: AsyncRead + Unpin>(mut port: R, queue: mpsc::Sender<Incoming>) -> io::Result<()> {
    let mut decoder = Decoder::default();
    let mut partial = false;
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let wait = if partial { STALE } else { Duration::MAX };
        let count = match tokio::time::timeout(wait, port.read(&mut buffer)).await {
            Ok(read) => read?,
            Err(_) => {
                decoder = Decoder::default();
                partial = false;
                continue;
            }
        };
        if count == 0 {
            return Ok(());
        }
        decoder.push(&buffer[..count]);
        partial = true;
        loop {
            let incoming = match decoder.next_frame() {
                Ok(None) => break,
                Ok(Some(body)) => match serde_json::from_slice(&body) {
                    Ok(message) => Incoming::Message(Box::new(message)),
                    Err(error) => Incoming::Garbage(error.to_string()),
                },
                Err(error) => {
                    decoder = Decoder::default();
                    Incoming::Garbage(error.to_string())
                }
            };
            if queue.send(incoming).await.is_err() {
                return Ok(());
            }
        }
    }
}

/// Writes frames until the driver drops its end or the port fails.
pub(crate) async fn write<W: AsyncWrite + Unpin>(mut port: W, mut queue: mpsc::Receiver<FromGuest>) -> io::Result<()> {
    while let Some(message) = queue.recv().await {
        let frame = match frame::encode(&serde_json::to_vec(&message)?) {
            Ok(frame) => frame,
            // The host waits for an answer, so it gets one.
            Err(error) => {
                let refusal = FromGuest::Refused { code: RefusalCode::GuestError, detail: format!("answer: {error}") };
                frame::encode(&serde_json::to_vec(&refusal)?).map_err(io::Error::other)?
            }
        };
        port.write_all(&frame).await?;
        port.flush().await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_tail_of_a_lost_frame_does_not_swallow_the_next_one() {
        let (mut host, port) = tokio::io::duplex(4096);
        let (queue, mut incoming) = mpsc::channel(QUEUE);
        let reading = tokio::spawn(read(port, queue));
        // Announces some bytes that never come.
        host.write_all(&[0, 0, 0x50, b'{', b'"']).await.unwrap();
        let ping = frame::encode(br#"{"kind":"ping","sequence":3}"#).unwrap();
        tokio::time::sleep(STALE * 2).await;
        host.write_all(&ping).await.unwrap();
        assert!(matches!(incoming.recv().await, Some(Incoming::Message(m)) if *m == ToGuest::Ping { sequence: 3 }));
        drop(host);
        reading.await.unwrap().unwrap();
    }
}
