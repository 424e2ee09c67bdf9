"""A repository of Composer: one document that names every version with its archive."""

import io
import json
import tarfile

from common import PACKAGE, VERSIONS

VARIABLES = {"OWN_COMPOSER": "{base}/composer"}


def archive(word):
    text = (
        "<?php\nnamespace Acme;\n\nclass Greeting\n{\n"
        "    public static function greet(string $name): string\n    {\n"
        f"        return '{word} ' . $name;\n    }}\n}}\n"
    ).encode()
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        entry = tarfile.TarInfo("greeting/src/Greeting.php")
        entry.size = len(text)
        tar.addfile(entry, io.BytesIO(text))
    return packed.getvalue()


def files(base, _work):
    found, versions = {}, {}
    for version, word in VERSIONS.items():
        path = f"/composer/greeting-{version}.tar"
        found[path] = (PACKAGE, archive(word))
        versions[version] = {
            "name": "acme/greeting",
            "version": version,
            "dist": {"type": "tar", "url": base + path},
            "autoload": {"psr-4": {"Acme\\": "src/"}},
        }
    document = json.dumps({"packages": {"acme/greeting": versions}}).encode()
    found["/composer/packages.json"] = ("application/json", document)
    return found
