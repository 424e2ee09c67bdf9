//! Static files over the wire.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use hop3_plugin_api::{EndpointAddress, Site, StaticPath};

use crate::backend::Backend;
use crate::bench::{Bench, site};

fn tree(bench: &Bench) -> PathBuf {
    let root = bench.directory().join("public");
    fs::create_dir_all(root.join("css")).unwrap();
    fs::create_dir_all(root.join(".git")).unwrap();
    fs::create_dir_all(root.join(".well-known")).unwrap();
    fs::write(root.join("index.html"), "home").unwrap();
    fs::write(root.join("css/a.css"), "0123456789").unwrap();
    fs::write(root.join(".env"), "SECRET=1").unwrap();
    fs::write(root.join(".git/config"), "SECRET=1").unwrap();
    fs::write(root.join(".well-known/security.txt"), "mail us").unwrap();
    fs::write(bench.directory().join("outside"), "SECRET=1").unwrap();
    fs::write(root.join("large.bin"), vec![7; 5_000_000]).unwrap();
    symlink("../outside", root.join("link")).unwrap();
    symlink("/etc", root.join("etc")).unwrap();
    root
}

fn static_site(root: &std::path::Path) -> Site {
    let placeholder = Backend::start(1);
    let mut site = site("docs", &["docs.test"], &[&placeholder]);
    site.backends[0].address = EndpointAddress::Directory(root.to_owned());
    site
}

#[test]
fn a_directory_is_served_with_its_types_tags_ranges_and_heads() {
    let bench = Bench::new();
    bench.apply(&[static_site(&tree(&bench))]);
    let mut client = bench.client();
    let home = client.get("docs.test", "/");
    assert_eq!((home.status, home.text().as_str()), (200, "home"));
    let css = client.get("docs.test", "/css/a.css?v=1");
    assert_eq!(css.header("content-type"), Some("text/css; charset=utf-8"));
    let tag = css.header("etag").unwrap();
    let again = client.raw(&format!(
        "GET /css/a.css HTTP/1.1\nHost: docs.test\nIf-None-Match: {tag}\n\n"
    ));
    assert_eq!((again.status, again.body.len()), (304, 0));
    let part = client.raw("GET /css/a.css HTTP/1.1\nHost: docs.test\nRange: bytes=2-4\n\n");
    assert_eq!((part.status, part.text().as_str()), (206, "234"));
    assert_eq!(
        client.get("docs.test", "/large.bin").body,
        vec![7; 5_000_000]
    );
    client
        .send(b"HEAD /large.bin HTTP/1.1\r\nHost: docs.test\r\n\r\n")
        .unwrap();
    let head = client.head().unwrap().to_lowercase();
    assert!(head.contains("content-length: 5000000"), "{head}");
    let moved = client.get("docs.test", "/css");
    assert_eq!(moved.status, 404, "a directory without an index is nothing");
    let post = client.raw("POST / HTTP/1.1\nHost: docs.test\nContent-Length: 3\n\nabc");
    assert_eq!(
        (post.status, post.header("allow")),
        (405, Some("GET, HEAD"))
    );
    assert_eq!(
        client.get("docs.test", "/.well-known/security.txt").text(),
        "mail us"
    );
}

#[test]
fn t29_nothing_beside_the_site_is_disclosed() {
    let bench = Bench::new();
    let mut site = static_site(&tree(&bench));
    for spa in [false, true] {
        site.spa = spa;
        bench.apply(&[site.clone()]);
        for path in [
            "/etc/passwd",
            "/../outside",
            "/css/../../outside",
            "/%2e%2e/outside",
            "/..%2foutside",
            "/link",
            "/.env",
            "/%2eenv",
            "/.git/config",
            "//etc/passwd",
            "/css/..%5c..%5coutside",
            "/%00",
            "/%zz",
        ] {
            let answer = bench.client().get("docs.test", path);
            let harmless = [400, 404].contains(&answer.status) || (spa && answer.text() == "home");
            assert!(harmless, "{path}: {} {}", answer.status, answer.text());
        }
    }
}

#[test]
fn an_unknown_path_is_the_index_of_a_single_page_app_alone() {
    let bench = Bench::new();
    let mut site = static_site(&tree(&bench));
    bench.apply(&[site.clone()]);
    assert_eq!(bench.get("docs.test", "/cart/7").status, 404);
    site.spa = true;
    bench.apply(&[site]);
    assert_eq!(bench.get("docs.test", "/cart/7").text(), "home");
}

#[test]
fn a_static_path_goes_before_the_app_and_the_rest_to_it() {
    let shop = Backend::start(1);
    let bench = Bench::new();
    let root = tree(&bench);
    let mut mixed = site("shop", &["shop.test"], &[&shop]);
    let path = |url: &str, directory: PathBuf| StaticPath {
        url: url.to_owned(),
        directory,
    };
    mixed.static_paths = vec![
        path("/assets", root.clone()),
        path("/assets/deep/", root.join("css")),
    ];
    bench.apply(&[mixed.clone()]);
    let mut client = bench.client();
    assert_eq!(
        client.get("shop.test", "/assets/css/a.css").text(),
        "0123456789"
    );
    assert_eq!(
        client.get("shop.test", "/assets/deep/a.css").text(),
        "0123456789"
    );
    assert_eq!(client.get("shop.test", "/assets/missing").status, 404);
    assert_eq!(client.get("shop.test", "/assetsx").text(), "1");
    assert_eq!(client.get("shop.test", "/a%2fb").text(), "1");
    mixed.backends.clear();
    bench.apply(&[mixed]);
    assert_eq!(client.get("shop.test", "/assets/css/a.css").status, 200);
    assert_eq!(client.get("shop.test", "/else").status, 404);
}
