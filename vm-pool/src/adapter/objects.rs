//! The object store, as hosts use it: bundles, skills, checkpoints.

use std::path::Path;

use async_nats::jetstream::object_store::{GetErrorKind, InfoErrorKind, ObjectInfo, ObjectMetadata, UpdateMetadata};

use super::bus::{BusError, HostBus};

/// The owner of what several have stored under the same name: nobody removes it.
const SHARED: &str = "shared";

impl HostBus {
    /// Writes an object into the file `into`; returns its description, or `None` if there is no such object.
    ///
    /// # Errors
    /// [`BusError`] if the server cannot be asked or the file cannot be written.
    pub async fn fetch_object(&self, name: &str, into: &Path) -> Result<Option<String>, BusError> {
        let failed = |detail: String| BusError { operation: "fetch object", detail: format!("{name}: {detail}") };
        let mut object = match self.objects.get(name).await {
            Ok(object) => object,
            Err(e) if e.kind() == GetErrorKind::NotFound => return Ok(None),
            Err(e) => {
                self.mend().await;
                return Err(failed(e.to_string()));
            }
        };
        let mut file = tokio::fs::File::create(into).await.map_err(|e| failed(e.to_string()))?;
        tokio::io::copy(&mut object, &mut file).await.map_err(|e| failed(e.to_string()))?;
        tokio::io::AsyncWriteExt::flush(&mut file).await.map_err(|e| failed(e.to_string()))?;
        Ok(Some(object.info().description.clone().unwrap_or_default()))
    }

    /// Stores the file `from` as an object, unless there is one of that name: names are made of content.
    ///
    /// # Errors
    /// [`BusError`] if the server cannot be asked or the file cannot be read.
    pub async fn store_object(&self, name: &str, description: &str, from: &Path) -> Result<(), BusError> {
        match self.info(name).await? {
            Some(_) => Ok(()),
            None => self.put_file(name, description, from).await,
        }
    }

    async fn put_file(&self, name: &str, description: &str, from: &Path) -> Result<(), BusError> {
        let failed = |detail: String| BusError { operation: "store object", detail: format!("{name}: {detail}") };
        let mut file = tokio::fs::File::open(from).await.map_err(|e| failed(e.to_string()))?;
        let meta =
            ObjectMetadata { name: name.to_owned(), description: Some(description.to_owned()), ..Default::default() };
        self.objects.put(meta, &mut file).await.map(drop).map_err(|e| failed(e.to_string()))
    }

    /// Stores `body` as an object in place of what has that name.
    ///
    /// # Errors
    /// [`BusError`] if the server cannot be asked.
    pub async fn overwrite_object(&self, name: &str, mut body: &[u8]) -> Result<(), BusError> {
        if let Err(e) = self.objects.put(name, &mut body).await {
            self.mend().await;
            return Err(BusError { operation: "overwrite object", detail: format!("{name}: {e}") });
        }
        Ok(())
    }

    /// Stores the file `from` as an object of `owner`, who may remove it again; if another one has stored the same, it
    /// belongs to nobody from now on.
    ///
    /// # Errors
    /// [`BusError`] if the server cannot be asked or the file cannot be read.
    pub async fn keep_object(&self, name: &str, owner: &str, from: &Path) -> Result<(), BusError> {
        match self.info(name).await? {
            Some(_) => self.share_object(name, owner).await,
            None => self.put_file(name, owner, from).await,
        }
    }

    /// Sees to it that nobody but `owner` removes an object, if it is there.
    ///
    /// # Errors
    /// [`BusError`] if the server cannot be asked.
    pub async fn share_object(&self, name: &str, owner: &str) -> Result<(), BusError> {
        let Some(info) = self.info(name).await? else { return Ok(()) };
        if info.description.as_deref().is_some_and(|of| of == owner || of == SHARED) {
            return Ok(());
        }
        let meta = UpdateMetadata {
            name: name.to_owned(),
            description: Some(SHARED.to_owned()),
            metadata: info.metadata,
            headers: info.headers,
        };
        let failed = |e| BusError { operation: "share object", detail: format!("{name}: {e}") };
        self.objects.update_metadata(name, meta).await.map(drop).map_err(failed)
    }

    /// Removes an object, if it is `owner`'s.
    ///
    /// # Errors
    /// [`BusError`] if the server cannot be asked.
    pub async fn drop_object(&self, name: &str, owner: &str) -> Result<(), BusError> {
        match self.info(name).await? {
            Some(info) if info.description.as_deref() == Some(owner) => {}
            _ => return Ok(()),
        }
        let failed = |e| BusError { operation: "remove object", detail: format!("{name}: {e}") };
        self.objects.delete(name).await.map_err(failed)
    }

    async fn info(&self, name: &str) -> Result<Option<ObjectInfo>, BusError> {
        match self.objects.info(name).await {
            Ok(info) => Ok(Some(info).filter(|info| !info.deleted)),
            Err(e) if e.kind() == InfoErrorKind::NotFound => Ok(None),
            Err(e) => {
                self.mend().await;
                Err(BusError { operation: "ask about an object", detail: format!("{name}: {e}") })
            }
        }
    }
}
