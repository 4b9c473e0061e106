//! Wakes those who read a project's feed when there is something new: they read it from the store themselves.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bus_schemas::id::ProjectId;
use tokio::sync::watch;

/// Bells of projects, and one for everything.
#[derive(Clone, Debug, Default)]
pub struct Bells {
    projects: Arc<Mutex<HashMap<ProjectId, watch::Sender<()>>>>,
    any: Arc<watch::Sender<()>>,
}

impl Bells {
    /// Rings for each reader of these projects.
    pub(super) fn ring(&self, projects: impl Iterator<Item = ProjectId>) {
        let mut bells = self.lock();
        let mut rang = false;
        for project_id in projects {
            rang = true;
            if let Some(bell) = bells.get(&project_id) {
                bell.send_replace(());
                if bell.is_closed() {
                    bells.remove(&project_id);
                }
            }
        }
        if rang {
            self.any.send_replace(());
        }
    }

    /// Rings from now on when the project's feed grows.
    #[must_use]
    pub fn listen(&self, project_id: ProjectId) -> watch::Receiver<()> {
        self.lock().entry(project_id).or_default().subscribe()
    }

    /// Rings from now on when any feed grows.
    #[must_use]
    pub fn listen_all(&self) -> watch::Receiver<()> {
        self.any.subscribe()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ProjectId, watch::Sender<()>>> {
        self.projects.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
