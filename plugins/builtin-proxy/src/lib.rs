//! The embedded default proxy: routes host names to the instances of apps and serves static files, in processes of its own.
//!
//! Three roles of one binary, which share nothing but a JSON document, a control socket and a few listening sockets:
//!
//! ```text
//!  agent ── config.json ──► worker   one thread per core: routing, upstream pools, files   (module `worker`)
//!    │  └── proxy.sock ───►   ▲
//!    └─ starts ─► holder ─────┘      keeps the listeners open, starts the next worker      (module `holder`)
//! ```
//!
//! Guarantees: a worker that dies refuses nobody, since the holder still owns the listeners; a holder that dies stops nothing, since
//! the worker goes on and hands the listeners to the next holder; a change of backends cuts no request in flight.
//!
//! Never: TLS (a listen address is plain HTTP), a request body kept in memory, a backend that the agent did not write down.

mod control;
mod document;
mod files;
mod handover;
mod holder;
mod note;
mod process;
mod proxy;
mod routing;
mod settings;
mod worker;

use std::sync::Arc;

use hop3_plugin_api::{Entrypoint, Plugin, Proxy, SectionDescriptor};

pub use proxy::BuiltinProxy;
pub use settings::BuiltinProxyConfig;

/// The plugin `builtin-proxy` with its proxy `builtin`.
pub struct BuiltinProxyPlugin;

impl Plugin for BuiltinProxyPlugin {
    fn name(&self) -> &'static str {
        "builtin-proxy"
    }

    fn description(&self) -> &'static str {
        "routes host names to apps and serves static files, without any other program"
    }

    fn sections(&self) -> Vec<SectionDescriptor> {
        vec![SectionDescriptor::of::<BuiltinProxyConfig>()]
    }

    fn proxies(&self) -> Vec<Arc<dyn Proxy>> {
        vec![Arc::new(BuiltinProxy)]
    }

    fn entrypoints(&self) -> Vec<Entrypoint> {
        vec![
            Entrypoint {
                name: holder::ENTRYPOINT,
                run: holder::run,
            },
            Entrypoint {
                name: worker::ENTRYPOINT,
                run: worker::run,
            },
        ]
    }
}
