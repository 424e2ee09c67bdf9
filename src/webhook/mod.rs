//! The agent's HTTP: a forge's nudge and read-only state. A hook says "go and look" and nothing else: its body is only measured against its
//! signature, never read as data. No route changes anything.

mod signature;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use http_body_util::BodyExt as _;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::control::{Message, Reply, Request};

pub use signature::{HookSecret, SecretTooShort};

/// The largest hook body: what the largest forge sends at most.
const BODY_LIMIT: usize = 25 * 1024 * 1024;
/// Requests at once; more wait in the kernel's backlog.
const CONNECTIONS: usize = 256;
/// For the headers of a request.
const HEADER_TIMEOUT: Duration = Duration::from_secs(3);
/// For a whole request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// What the routes work with.
#[derive(Clone)]
struct Routes {
    control: mpsc::Sender<Message>,
    secret: Option<Arc<HookSecret>>,
}

/// Serves until the process ends.
pub async fn serve(
    listener: TcpListener,
    control: mpsc::Sender<Message>,
    secret: Option<HookSecret>,
) {
    let service = router(Routes {
        control,
        secret: secret.map(Arc::new),
    });
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, _)) => {
                let service = service.clone();
                tokio::spawn(async move {
                    serve_connection(stream, service).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::error!(%error, "The HTTP listener failed.");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

async fn serve_connection(stream: tokio::net::TcpStream, service: Router) {
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(64 * 1024);
    let connection =
        builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
    if let Err(error) = connection.await {
        tracing::debug!(%error, "A connection ended early.");
    }
}

fn router(routes: Routes) -> Router {
    let hook = routes.secret.is_some();
    let router = Router::new()
        .route("/healthz", get(healthz))
        .route("/api/v1/status", get(status));
    // Without a secret the route does not exist: no secret means closed, not open.
    let router = if hook {
        router.route("/hook/repo", post(hook_repo))
    } else {
        router
    };
    router.with_state(routes)
}

async fn healthz(State(routes): State<Routes>) -> StatusCode {
    if routes.control.is_closed() {
        StatusCode::SERVICE_UNAVAILABLE
    } else {
        StatusCode::OK
    }
}

async fn status(State(routes): State<Routes>) -> Response {
    let (sender, receiver) = oneshot::channel();
    let sent = routes
        .control
        .send(Message::Asked(Request::Status, sender))
        .await;
    match (sent, receiver.await) {
        (Ok(()), Ok(Reply::Done(status))) => axum::Json(status).into_response(),
        _ => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

/// A forge's nudge. Every failure gives the same answer.
async fn hook_repo(
    State(routes): State<Routes>,
    headers: HeaderMap,
    body: Body,
) -> Result<StatusCode, Infallible> {
    let Some(secret) = &routes.secret else {
        return Ok(StatusCode::NOT_FOUND);
    };
    let verdict = tokio::time::timeout(REQUEST_TIMEOUT, verify(secret, &headers, body)).await;
    match verdict {
        Err(_) => Ok(StatusCode::REQUEST_TIMEOUT),
        Ok(Err(code)) => Ok(code),
        Ok(Ok(())) => {
            if routes.control.send(Message::Hook).await.is_err() {
                tracing::debug!("A hook arrived while the agent was stopping.");
            }
            Ok(StatusCode::ACCEPTED)
        }
    }
}

async fn verify(
    secret: &HookSecret,
    headers: &HeaderMap,
    mut body: Body,
) -> Result<(), StatusCode> {
    let mut claimed = headers.get_all(signature::HEADER).iter();
    let (Some(signature), None) = (claimed.next(), claimed.next()) else {
        return Err(StatusCode::UNAUTHORIZED);
    };
    let mut check = secret
        .check(signature.as_bytes())
        .ok_or(StatusCode::UNAUTHORIZED)?;
    let mut size = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| StatusCode::BAD_REQUEST)?;
        let Some(data) = frame.data_ref() else {
            continue;
        };
        size += data.len();
        if size > BODY_LIMIT {
            return Err(StatusCode::PAYLOAD_TOO_LARGE);
        }
        check.update(data);
    }
    if check.holds() {
        Ok(())
    } else {
        Err(StatusCode::UNAUTHORIZED)
    }
}

/// Listens on the operator's address.
pub async fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    TcpListener::bind(address).await
}
