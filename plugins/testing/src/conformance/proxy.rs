//! The promises of a proxy's rendering. What it does to a running proxy is for its own tests.

use std::path::{Component, Path};

use hop3_plugin_api::{HostContext, Proxy, Site};

/// Equal sites give equal bytes, and every file stays in the proxy's own directory.
pub fn conforms(proxy: &dyn Proxy, cx: &HostContext<'_>, sites: &[Site]) {
    let render = |sites: &[Site]| {
        proxy
            .generate_config(cx, sites)
            .expect("the sites can be rendered")
    };
    let files = render(sites);
    assert_eq!(files, render(sites), "equal sites give different bytes");
    for file in &files {
        let inside = Path::new(&file.path)
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
        assert!(inside, "`{}` leaves the proxy's directory", file.path);
    }
    for site in sites {
        check_parts(proxy, site);
    }
}

fn check_parts(proxy: &dyn Proxy, site: &Site) {
    let parts = |site: &Site| {
        [
            proxy.setup_backend(site),
            proxy.setup_certificates(site),
            proxy.setup_cache(site),
            proxy.setup_static(site),
            proxy.extra_setup(site),
        ]
        .map(|part| part.expect("a part of the site can be rendered"))
    };
    assert_eq!(
        parts(site),
        parts(&site.clone()),
        "equal sites give different parts"
    );
}
