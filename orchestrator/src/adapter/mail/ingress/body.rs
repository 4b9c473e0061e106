//! Bodies of strangers: not too large, not too slow, not too many at the same time.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    http::{HeaderMap, header},
};
use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use super::Refused;

/// A body that has not come in this time does not come.
const BODY_TIMEOUT: Duration = Duration::from_secs(60);
/// What room is counted in.
const UNIT: usize = 1024;

/// The memory that all bodies of a service together may take.
pub(super) struct Room(Arc<Semaphore>);

/// A body's part of it, for as long as it is held.
#[derive(Debug, Default)]
pub(super) struct Taken(Option<OwnedSemaphorePermit>);

impl Room {
    pub(super) fn new(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new((bytes / UNIT).clamp(1, Semaphore::MAX_PERMITS))))
    }

    /// The whole body, of at most `limit` bytes.
    pub(super) async fn read(&self, headers: &HeaderMap, body: Body, limit: usize) -> Result<(Bytes, Taken), Refused> {
        let said = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
        if said.is_some_and(|length| length > limit) {
            return Err(Refused::TooLarge);
        }
        timeout(BODY_TIMEOUT, self.gather(body, limit)).await.unwrap_or(Err(Refused::Slow))
    }

    async fn gather(&self, body: Body, limit: usize) -> Result<(Bytes, Taken), Refused> {
        let mut stream = body.into_data_stream();
        let mut whole = BytesMut::new();
        let mut taken = Taken::default();
        let mut room = 0;
        while let Some(chunk) = stream.next().await {
            // The connection ended in the middle: nobody reads this answer.
            let chunk = chunk.map_err(|_| Refused::Slow)?;
            let length = whole.len() + chunk.len();
            if length > limit {
                return Err(Refused::TooLarge);
            }
            if length > room {
                let units = (length - room).div_ceil(UNIT);
                taken.add(&self.0, units)?;
                room += units * UNIT;
            }
            whole.extend_from_slice(&chunk);
        }
        Ok((whole.freeze(), taken))
    }
}

impl Taken {
    fn add(&mut self, room: &Arc<Semaphore>, units: usize) -> Result<(), Refused> {
        let units = u32::try_from(units).unwrap_or(u32::MAX);
        let more = Arc::clone(room).try_acquire_many_owned(units).map_err(|_| Refused::Full)?;
        match &mut self.0 {
            Some(permit) => permit.merge(more),
            None => self.0 = Some(more),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(room: &Room, parts: &[&'static str], limit: usize) -> Result<(Bytes, Taken), Refused> {
        let parts: Vec<Result<&'static str, std::io::Error>> = parts.iter().map(|part| Ok(*part)).collect();
        room.read(&HeaderMap::new(), Body::from_stream(futures::stream::iter(parts)), limit).await
    }

    #[tokio::test]
    async fn a_body_has_an_end() {
        let room = Room::new(1 << 20);
        let (body, _taken) = read(&room, &["ab", "cd"], 4).await.unwrap();
        assert_eq!(body, "abcd");
        assert_eq!(read(&room, &["ab", "cde"], 4).await.unwrap_err(), Refused::TooLarge);
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_LENGTH, "5".parse().unwrap());
        let said = room.read(&headers, Body::from("ab"), 4).await;
        assert_eq!(said.unwrap_err(), Refused::TooLarge, "what says it is too large is not read");
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_come_is_not_waited_for() {
        let never = Body::from_stream(futures::stream::pending::<Result<&'static str, std::io::Error>>());
        assert_eq!(Room::new(1024).read(&HeaderMap::new(), never, 4).await.unwrap_err(), Refused::Slow);
    }

    #[tokio::test]
    async fn all_bodies_together_have_an_end_and_give_their_room_back() {
        let room = Room::new(2 * UNIT);
        let first = read(&room, &["ab"], 10).await.unwrap();
        let second = read(&room, &["ab"], 10).await.unwrap();
        assert!(matches!(read(&room, &["ab"], 10).await, Err(Refused::Full)));
        drop(first);
        assert!(read(&room, &["ab"], 10).await.is_ok());
        drop(second);
    }
}
