//! How long nothing has moved on a request, in either direction.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tls_session_binding_client::http::Body;
use tokio::time::{Instant, Sleep};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// When a byte last came or went.
#[derive(Clone)]
pub(super) struct Activity(Arc<Mutex<Instant>>);

impl Activity {
    pub(super) fn now() -> Self {
        Self(Arc::new(Mutex::new(Instant::now())))
    }

    pub(super) fn touch(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn last(&self) -> Instant {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Completes when nothing has moved for that long.
    pub(super) async fn ends(&self, idle: Duration) {
        loop {
            let end = self.last() + idle;
            if end <= Instant::now() {
                return;
            }
            tokio::time::sleep_until(end).await;
        }
    }
}

/// A body that tells of each of its frames, and keeps `held` until it ends.
pub(super) struct Watched<B, H> {
    body: B,
    activity: Activity,
    /// The end of patience, where there is one.
    limit: Option<(Duration, Pin<Box<Sleep>>)>,
    held: Option<H>,
}

impl<B, H> Watched<B, H>
where
    B: HttpBody<Data = Bytes> + Unpin + Send + 'static,
    B::Error: Into<BoxError>,
    H: Unpin + Send + 'static,
{
    /// A request's body: only the response's end decides.
    pub(super) fn request(body: B, activity: &Activity, held: H) -> Body {
        Self::boxed(body, activity, None, held)
    }

    /// A response's body, which fails when nothing has moved for `idle`.
    pub(super) fn response(body: B, activity: &Activity, idle: Duration, held: H) -> Body {
        let sleep = Box::pin(tokio::time::sleep(idle));
        Self::boxed(body, activity, Some((idle, sleep)), held)
    }

    fn boxed(
        body: B,
        activity: &Activity,
        limit: Option<(Duration, Pin<Box<Sleep>>)>,
        held: H,
    ) -> Body {
        let watched = Self {
            body,
            activity: activity.clone(),
            limit,
            held: Some(held),
        };
        Body::new(watched)
    }

    fn poll_patience(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Some((idle, sleep)) = &mut self.limit else {
            return Poll::Pending;
        };
        loop {
            ready!(sleep.as_mut().poll(context));
            let end = self.activity.last() + *idle;
            if end <= Instant::now() {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(end);
        }
    }
}

impl<B, H> HttpBody for Watched<B, H>
where
    B: HttpBody<Data = Bytes> + Unpin + Send + 'static,
    B::Error: Into<BoxError>,
    H: Unpin + Send + 'static,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) else {
            ready!(self.poll_patience(context));
            self.held = None;
            return Poll::Ready(Some(Err("nothing moved for too long".into())));
        };
        self.activity.touch();
        if frame.is_none() || self.body.is_end_stream() {
            self.held = None;
        }
        Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
