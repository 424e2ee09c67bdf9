"""Tarballs and the document that names them, as npm, pnpm and Yarn read it."""

import base64
import gzip
import hashlib
import io
import json
import tarfile

from common import PACKAGE, VERSIONS

NAME = "greeting"

VARIABLES = {
    "NPM_CONFIG_REGISTRY": "{base}/node/",
    "YARN_REGISTRY": "{base}/node/",
    "YARN_NPM_REGISTRY_SERVER": "{base}/node",
    "YARN_UNSAFE_HTTP_WHITELIST": "127.0.0.1",
}


def manifest(version):
    return {"name": NAME, "version": version, "main": "index.js", "license": "Apache-2.0"}


def tarball(version, word):
    """A tarball whose bytes are the same each time."""
    code = f"exports.version = {json.dumps(version)};\nexports.greet = (name) => {json.dumps(word + ' ')} + name;\n"
    contents = {"package/package.json": json.dumps(manifest(version)), "package/index.js": code}
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for path, text in contents.items():
            entry = tarfile.TarInfo(path)
            entry.size = len(text)
            entry.mode = 0o644
            archive.addfile(entry, io.BytesIO(text.encode()))
    return gzip.compress(out.getvalue(), mtime=0)


def files(base, _work):
    served, versions = {}, {}
    for version, word in VERSIONS.items():
        content = tarball(version, word)
        path = f"/node/{NAME}/-/{NAME}-{version}.tgz"
        served[path] = (PACKAGE, content)
        integrity = "sha512-" + base64.b64encode(hashlib.sha512(content).digest()).decode()
        dist = {"tarball": base + path, "integrity": integrity, "shasum": hashlib.sha1(content).hexdigest()}
        versions[version] = {**manifest(version), "dist": dist}
    document = {"name": NAME, "dist-tags": {"latest": max(VERSIONS)}, "versions": versions}
    served[f"/node/{NAME}"] = ("application/json", json.dumps(document).encode())
    return served
