//! A client of one server that connects again when that mends something.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Uri};
use tokio::sync::Mutex;

use super::error::HttpError;
use super::files::FileConnector;
use super::session::{Answer, Proving, Session};

/// Sends requests to one server, over one connection at a time.
///
/// It connects again when the connection is closed, when the files hold another certificate, key or authorities, when
/// the connection's certificate has expired, and when the server says that only another connection helps.
pub struct Client {
    connector: Arc<FileConnector>,
    url: Uri,
    address: Option<String>,
    session: Mutex<Option<Arc<Session>>>,
}

impl Client {
    /// A client of the server at the host and port of `url`.
    #[must_use]
    pub fn new(connector: Arc<FileConnector>, url: Uri) -> Self {
        Self {
            connector,
            url,
            address: None,
            session: Mutex::new(None),
        }
    }

    /// Connects to this host and port instead of those of the URL.
    #[must_use]
    pub fn at(mut self, address: String) -> Self {
        self.address = Some(address);
        self
    }

    /// The open connection, or a new one where that is none to be used any more.
    ///
    /// # Errors
    /// The variants of [`HttpError`] that speak of URL and connection.
    pub async fn session(&self) -> Result<Arc<Session>, HttpError> {
        let mut held = self.session.lock().await;
        if let Some(session) = held.as_ref()
            && !session.is_closed()
            && self.connector.is_current(session)
        {
            return Ok(Arc::clone(session));
        }
        let connector = self.connector.current();
        let session = match &self.address {
            Some(address) => connector.connect_to(address.as_str(), &self.url).await?,
            None => connector.connect(&self.url).await?,
        };
        Ok(Arc::clone(held.insert(Arc::new(session))))
    }

    /// As [`Session::send`], on the connection at hand. Where only another connection helps, the request goes out once
    /// more on one; if there is none to be had, the first answer counts.
    ///
    /// # Errors
    /// Those of [`Client::session`] and [`Session::send`].
    pub async fn send(
        &self,
        request: Request<Bytes>,
        token: &str,
        proving: Proving,
    ) -> Result<Answer, HttpError> {
        let session = self.session().await?;
        match session.send(request.clone(), token, proving).await {
            Err(HttpError::Closed(_)) => {
                self.leave(&session).await;
                self.session().await?.send(request, token, proving).await
            }
            Ok(answer) if session.is_spent(&answer) => {
                self.leave(&session).await;
                match self.session().await {
                    Ok(another) => another.send(request, token, proving).await,
                    Err(_) => Ok(answer),
                }
            }
            answer => answer,
        }
    }

    /// Has the next request go out on another connection than this one.
    async fn leave(&self, session: &Arc<Session>) {
        let mut held = self.session.lock().await;
        if held.as_ref().is_some_and(|held| Arc::ptr_eq(held, session)) {
            *held = None;
        }
    }
}
