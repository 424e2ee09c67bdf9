//! The plugins that are linked into this binary: an explicit list, one line and one Cargo feature each.

use std::sync::Arc;

use hop3_plugin_api::Plugin;

/// Every plugin of this repository whose feature is on.
pub fn builtin() -> Vec<Arc<dyn Plugin>> {
    vec![
        #[cfg(feature = "local")]
        Arc::new(hop3_plugin_local::LocalPlugin),
        #[cfg(feature = "docker")]
        Arc::new(hop3_plugin_docker::Docker),
        #[cfg(feature = "toolchains")]
        Arc::new(hop3_plugin_toolchains::ToolchainsPlugin),
        #[cfg(feature = "native")]
        Arc::new(hop3_plugin_native::NativePlugin),
        #[cfg(feature = "static")]
        Arc::new(hop3_plugin_static::StaticPlugin),
        #[cfg(feature = "sqlite")]
        Arc::new(hop3_plugin_sqlite::SqlitePlugin),
        #[cfg(feature = "builtin-proxy")]
        Arc::new(hop3_plugin_builtin_proxy::BuiltinProxyPlugin),
        #[cfg(feature = "debian")]
        Arc::new(hop3_plugin_debian::DebianPlugin),
    ]
}
