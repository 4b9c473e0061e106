//! Pieces of a transcript as files: their digests, and how they are merged.

use std::{
    fs::File,
    io::{self, Read as _, Write as _},
    path::Path,
    sync::Arc,
};

use bus_schemas::v1::agent::Part;
use sha2::{Digest as _, Sha256};
use tempfile::TempPath;

/// Read at once.
const COPY_BYTES: usize = 64 * 1024;

/// A stored piece and the file it is in here. The file goes with the value.
#[derive(Debug)]
pub struct Piece {
    /// Its digest and size.
    pub part: Part,
    /// Where it is.
    pub path: TempPath,
}

/// Takes a file's digest.
pub(super) async fn digest(path: TempPath) -> io::Result<Piece> {
    blocking(move || {
        let mut file = File::open(&path)?;
        let part = copied(&mut file, &mut io::sink())?;
        Ok(Piece { part, path })
    })
    .await
}

/// Whether `whole` begins with all of `head`.
pub(super) async fn begins_with(whole: &Piece, head: &Arc<Piece>) -> io::Result<bool> {
    if whole.part.bytes < head.part.bytes {
        return Ok(false);
    }
    let mut file = File::open(&whole.path)?.take(head.part.bytes);
    let prefix = blocking(move || copied(&mut file, &mut io::sink())).await?;
    Ok(prefix.sha256 == head.part.sha256)
}

/// Puts `added` behind `parts`, merging what is not at least twice as large as what follows. Returns the parts and the one
/// of them that is new.
pub(super) async fn append(
    mut parts: Vec<Arc<Piece>>,
    added: Arc<Piece>,
    scratch: &Path,
) -> io::Result<(Vec<Arc<Piece>>, Option<Arc<Piece>>)> {
    if added.part.bytes == 0 {
        return Ok((parts, None));
    }
    let kept = kept(&parts.iter().map(|piece| piece.part.bytes).collect::<Vec<_>>(), added.part.bytes);
    let mut merging = parts.split_off(kept);
    merging.push(added);
    let fresh = match <[Arc<Piece>; 1]>::try_from(merging) {
        Ok([alone]) => alone,
        Err(merging) => Arc::new(concatenated(merging, scratch).await?),
    };
    parts.push(Arc::clone(&fresh));
    Ok((parts, Some(fresh)))
}

/// How many of the parts stay as they are when `added` bytes come behind them.
fn kept(parts: &[u64], added: u64) -> usize {
    let (mut kept, mut last) = (parts.len(), added);
    while kept > 0 && parts[kept - 1] < last.saturating_mul(2) {
        kept -= 1;
        last = last.saturating_add(parts[kept]);
    }
    kept
}

async fn concatenated(pieces: Vec<Arc<Piece>>, scratch: &Path) -> io::Result<Piece> {
    let mut whole = tempfile::NamedTempFile::new_in(scratch)?;
    blocking(move || {
        let mut digest = Digesting::new(whole.as_file_mut());
        for piece in &pieces {
            io::copy(&mut File::open(&piece.path)?, &mut digest)?;
        }
        let part = digest.part();
        whole.flush()?;
        Ok(Piece { part, path: whole.into_temp_path() })
    })
    .await
}

fn copied(from: &mut impl io::Read, to: &mut impl io::Write) -> io::Result<Part> {
    let mut digest = Digesting::new(to);
    let mut buffer = vec![0; COPY_BYTES];
    loop {
        match from.read(&mut buffer)? {
            0 => return Ok(digest.part()),
            count => digest.write_all(&buffer[..count])?,
        }
    }
}

/// Writes and takes the digest on the way.
struct Digesting<'a, W> {
    to: &'a mut W,
    sha256: Sha256,
    bytes: u64,
}

impl<'a, W> Digesting<'a, W> {
    fn new(to: &'a mut W) -> Self {
        Self { to, sha256: Sha256::new(), bytes: 0 }
    }

    fn part(self) -> Part {
        let hex = self.sha256.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Part { sha256: hex, bytes: self.bytes }
    }
}

impl<W: io::Write> io::Write for Digesting<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.to.write(bytes)?;
        self.sha256.update(&bytes[..count]);
        self.bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

    use super::*;

    fn sizes(deltas: &[u64]) -> (Vec<u64>, u64) {
        let (mut parts, mut written) = (Vec::new(), 0);
        for &delta in deltas {
            let kept = kept(&parts, delta);
            let fresh = parts.drain(kept..).sum::<u64>() + delta;
            parts.push(fresh);
            written += fresh;
        }
        (parts, written)
    }

    proptest! {
        #[test]
        fn parts_are_few_and_nothing_is_lost(deltas in proptest::collection::vec(1..5_000_u64, 1..300)) {
            let (parts, written) = sizes(&deltas);
            let total: u64 = deltas.iter().sum();
            prop_assert_eq!(parts.iter().sum::<u64>(), total);
            prop_assert!(parts.windows(2).all(|pair| pair[0] >= 2 * pair[1]), "{parts:?}");
            prop_assert!(parts.len() <= 64 - total.leading_zeros() as usize);
            // Every byte's part grows by half at least whenever it is stored again.
            prop_assert!((written as f64) <= total as f64 * (2.0 + (total as f64).log2() / 1.5_f64.log2()));
        }
    }

    #[test]
    fn equal_turns_are_merged_like_a_counter() {
        for (count, want) in
            [(1, vec![1]), (2, vec![2]), (3, vec![2, 1]), (7, vec![4, 2, 1]), (10_000, vec![8192, 1024, 512, 256, 16])]
        {
            assert_eq!(sizes(&vec![1; count]).0, want);
        }
    }

    #[tokio::test]
    async fn pieces_are_put_together_and_compared() {
        let dir = tempfile::tempdir().unwrap();
        let piece = async |text: &str| {
            let mut file = tempfile::NamedTempFile::new_in(dir.path()).unwrap();
            file.write_all(text.as_bytes()).unwrap();
            Arc::new(digest(file.into_temp_path()).await.unwrap())
        };
        let (long, short, next) = (piece("0123456789").await, piece("abc").await, piece("def").await);
        let (parts, fresh) = append(vec![long], Arc::clone(&short), dir.path()).await.unwrap();
        assert_eq!((parts.len(), fresh.unwrap().part.sha256.clone()), (2, short.part.sha256.clone()));
        let (parts, fresh) = append(parts, next, dir.path()).await.unwrap();
        assert_eq!(parts.len(), 1, "10 < 2 × 6");
        let fresh = fresh.unwrap();
        assert_eq!(std::fs::read_to_string(&fresh.path).unwrap(), "0123456789abcdef");
        assert_eq!(fresh.part.bytes, 16);
        let (same, none) = append(parts, piece("").await, dir.path()).await.unwrap();
        assert!(none.is_none() && same.len() == 1);
        assert!(begins_with(&fresh, &piece("0123").await).await.unwrap());
        assert!(!begins_with(&fresh, &piece("0124").await).await.unwrap());
        assert!(!begins_with(&short, &fresh).await.unwrap());
    }
}
