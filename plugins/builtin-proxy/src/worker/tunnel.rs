//! Two upgraded connections joined into one: a web socket, after its handshake went through.

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::copy_bidirectional_with_sizes;

use crate::routing::InFlight;

use super::serve::Peer;

/// What is in memory per direction.
const BUFFER: usize = 8 * 1024;

/// Both ends, and what they hold.
pub(super) struct Tunnel {
    pub(super) client: OnUpgrade,
    pub(super) backend: OnUpgrade,
    pub(super) in_flight: InFlight,
    pub(super) peer: Peer,
}

impl Tunnel {
    /// Carries bytes both ways until either end is done. The request is in flight as long.
    pub(super) async fn run(self) {
        let Self {
            client,
            backend,
            in_flight,
            peer,
        } = self;
        if let (Ok(client), Ok(backend)) = tokio::join!(client, backend) {
            let (mut client, mut backend) = (TokioIo::new(client), TokioIo::new(backend));
            copy_bidirectional_with_sizes(&mut client, &mut backend, BUFFER, BUFFER)
                .await
                .ok();
        }
        drop((in_flight, peer));
    }
}
