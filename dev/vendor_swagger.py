"""Fetches Swagger UI's files for the page at `/` anew, from the npm package `swagger-ui-dist`.

    python dev/vendor_swagger.py            the version that vendored.json names; its hashes must match
    python dev/vendor_swagger.py 5.x.y      another version; vendored.json then names that one

Needs npm. What a release needs is tracked, so neither running nor testing the service needs this.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

PACKAGE = "swagger-ui-dist"
FILES = (
    "LICENSE",
    "NOTICE",
    "favicon-16x16.png",
    "favicon-32x32.png",
    "swagger-ui-bundle.js",
    "swagger-ui-bundle.js.LICENSE.txt",
    "swagger-ui.css",
)
FOLDER = Path(__file__).resolve().parent.parent / "libs" / "rest" / "swagger"
NOTE = FOLDER / "vendored.json"


def fetch(version: str) -> dict[str, bytes]:
    """The wanted files of one version of the package. Raises CalledProcessError where npm fails."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            ["npm", "pack", "--silent", f"{PACKAGE}@{version}", "--pack-destination", folder],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        (archive,) = Path(folder).glob("*.tgz")
        with tarfile.open(archive) as package:
            return {name: _member(package, name) for name in FILES}


def _member(package: tarfile.TarFile, name: str) -> bytes:
    file = package.extractfile(f"package/{name}")
    if file is None:
        raise SystemExit(f"the package holds no {name}")
    return file.read()


def main() -> None:
    """Writes the files and the note."""
    recorded = json.loads(NOTE.read_text()) if NOTE.exists() else {}
    version = sys.argv[1] if len(sys.argv) > 1 else recorded.get("version")
    if version is None:
        raise SystemExit("vendor_swagger: which version?")
    files = fetch(version)
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    if version == recorded.get("version") and hashes != recorded["sha256"]:
        raise SystemExit("vendor_swagger: the files differ from the hashes in vendored.json; nothing was written")
    for name, content in files.items():
        (FOLDER / name).write_bytes(content)
    note = {"package": PACKAGE, "version": version, "license": "Apache-2.0", "sha256": hashes}
    NOTE.write_text(json.dumps(note, indent=2) + "\n")
    print(f"{PACKAGE} {version}: {len(files)} files")


if __name__ == "__main__":
    main()
