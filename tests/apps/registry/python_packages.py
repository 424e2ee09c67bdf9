"""Wheels and an index of them, as pip, uv and Poetry read it."""

import base64
import hashlib
import io
import zipfile

from common import PACKAGE, VERSIONS

NAME = "greeting"

VARIABLES = {
    "PIP_INDEX_URL": "{base}/python/simple/",
    "UV_DEFAULT_INDEX": "{base}/python/simple/",
}

MODULE = '''"""Greets."""

VERSION = "{version}"


def greet(name):
    return "{word} " + name
'''


def wheel(version, word):
    """A wheel whose bytes are the same each time."""
    info = f"{NAME}-{version}.dist-info"
    contents = {
        f"{NAME}.py": MODULE.format(version=version, word=word),
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {NAME}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = [f"{path},sha256={digest(text)},{len(text)}" for path, text in contents.items()]
    contents[f"{info}/RECORD"] = "\n".join([*record, f"{info}/RECORD,,"]) + "\n"
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for path, text in contents.items():
            archive.writestr(zipfile.ZipInfo(path, (2020, 1, 1, 0, 0, 0)), text)
    return out.getvalue()


def digest(text):
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


def files(_base, _work):
    wheels = {f"{NAME}-{version}-py3-none-any.whl": wheel(version, word) for version, word in VERSIONS.items()}
    links = [
        f'<a href="../../files/{name}#sha256={hashlib.sha256(content).hexdigest()}">{name}</a><br>'
        for name, content in wheels.items()
    ]
    page = "<!DOCTYPE html><html><body>\n" + "\n".join(links) + "\n</body></html>\n"
    served = {f"/python/files/{name}": (PACKAGE, content) for name, content in wheels.items()}
    served[f"/python/simple/{NAME}/"] = ("text/html", page.encode())
    return served
