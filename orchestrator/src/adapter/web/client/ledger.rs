//! What the client asks about requests to people.

use bus_schemas::v1::api::{
    ApprovalView, AskRequest, AuditEntry, AuditReport, BatchOutcome, BatchRequest, DecisionRequest, DelegateRequest,
    FatigueView, RememberedView, RevokeRequest, ViewedRequest,
};
use reqwest::Method;

use super::{Client, ClientError};

impl Client {
    /// `GET /v1/approvals`
    ///
    /// # Errors
    /// [`ClientError`], as every method here.
    pub async fn approvals(&self, all: bool) -> Result<Vec<ApprovalView>, ClientError> {
        self.get("list approvals", &["approvals"], &[("all", all.to_string())]).await
    }

    /// `GET /v1/approvals/{id}`
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn approval(&self, id: &str) -> Result<ApprovalView, ClientError> {
        self.get("read the approval", &["approvals", id], &[]).await
    }

    /// `POST /v1/approvals/{id}/decision`
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn decide(&self, id: &str, request: &DecisionRequest) -> Result<ApprovalView, ClientError> {
        self.post("decide", &["approvals", id, "decision"], request).await
    }

    /// `POST /v1/approvals/{id}/ask`
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn ask_agent(&self, id: &str, request: &AskRequest) -> Result<ApprovalView, ClientError> {
        self.post("ask the agent", &["approvals", id, "ask"], request).await
    }

    /// `POST /v1/approvals/{id}/delegate`
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn delegate(&self, id: &str, request: &DelegateRequest) -> Result<ApprovalView, ClientError> {
        self.post("delegate", &["approvals", id, "delegate"], request).await
    }

    /// `POST /v1/approvals/{id}/viewed`
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn viewed(&self, id: &str, request: &ViewedRequest) -> Result<(), ClientError> {
        let request = self.request(Method::POST, &["approvals", id, "viewed"], &[]).json(request);
        self.send("record that it was seen", request).await.map(drop)
    }

    /// `POST /v1/decisions`
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn decide_batch(&self, request: &BatchRequest) -> Result<Vec<BatchOutcome>, ClientError> {
        self.post("decide", &["decisions"], request).await
    }

    /// `GET /v1/remembered`
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn remembered(&self) -> Result<Vec<RememberedView>, ClientError> {
        self.get("list remembered decisions", &["remembered"], &[]).await
    }

    /// `POST /v1/remembered/{id}/revoke`
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn revoke(&self, id: &str, request: &RevokeRequest) -> Result<RememberedView, ClientError> {
        self.post("take it back", &["remembered", id, "revoke"], request).await
    }

    /// `GET /v1/fatigue`
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn fatigue(&self) -> Result<FatigueView, ClientError> {
        self.get("count requests", &["fatigue"], &[]).await
    }

    /// `GET /v1/audit`
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn audit(&self, after: u64, project: Option<&str>) -> Result<Vec<AuditEntry>, ClientError> {
        let mut query = vec![("after", after.to_string())];
        query.extend(project.map(|project| ("project", project.to_owned())));
        self.get("read the audit log", &["audit"], &query).await
    }

    /// `GET /v1/audit/verify`
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn verify_audit(&self, head: Option<&str>) -> Result<AuditReport, ClientError> {
        let query: Vec<_> = head.map(|head| ("head", head.to_owned())).into_iter().collect();
        self.get("verify the audit log", &["audit", "verify"], &query).await
    }
}
