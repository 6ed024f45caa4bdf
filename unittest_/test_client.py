"""A typed client generated from the document: it covers every operation, type-checks, and talks to the service."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from libs.rest import build, to_bytes
from unittest_.sample_service import make_api, make_app, running
from unittest_.service_api import service_api

CONFIG = """
package_name_override: generated_client
post_hooks: []
content_type_overrides:
  application/problem+json: application/json
  application/x-ndjson: application/octet-stream
"""
# The generator knows no lines of text beside JSON in one body: its client sends the JSON form.
OWN_CONFIG = """
package_name_override: generated_client
post_hooks: []
content_type_overrides:
  application/problem+json: application/json
"""
USE = """
import asyncio
from io import BytesIO

from generated_client import Client
from generated_client.api.es import es_create_thing, es_list_things, es_query, es_send_docs
from generated_client.models import Condition, Conjunction, NewThing, Problem, Query
from generated_client.types import File


async def use(url: str) -> list[str]:
    async with Client(url) as client:
        made = await es_create_thing.asyncio(client=client, body=NewThing(name="from-client", size=3))
        assert made is not None and not isinstance(made, Problem)
        again = await es_create_thing.asyncio(client=client, body=NewThing(name="from-client"))
        assert isinstance(again, Problem)
        leaf = Condition(field="host", op="eq", value=1)
        where = Conjunction(and_=[leaf, Conjunction(and_=[leaf])])
        asked = await es_query.asyncio_detailed(name="a/b", client=client, body=Query(where=where, limit=1))
        lines = File(payload=BytesIO(b'{"a": 1}\\n'))
        sent = await asyncio.to_thread(es_send_docs.sync_detailed, name="x", client=Client(url), body=lines)
        assert sent.status_code == 200
        listed = await es_list_things.asyncio(client=client, limit=50)
        assert listed is not None and not isinstance(listed, Problem)
        return [made.data.name, again.code, str(asked.status_code.value), *(thing.name for thing in listed.data)]
"""
MISUSE = """
import asyncio
from io import BytesIO

from generated_client.models import Condition, NewThing

NewThing(name=1)
Condition(field="host", op="neq", value=1)
"""


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder on the import path with the package `generated_client` in it."""
    folder = tmp_path_factory.mktemp("client")
    (folder / "openapi.json").write_bytes(to_bytes(build(make_api())))
    (folder / "config.yaml").write_text(CONFIG)
    run(
        folder,
        "openapi_python_client", "generate", "--path", "openapi.json", "--config", "config.yaml",
        "--meta", "none", "--output-path", "generated_client", "--fail-on-warning",
    )  # fmt: skip
    sys.path.insert(0, str(folder))
    yield folder
    sys.path.remove(str(folder))
    for name in [name for name in sys.modules if name.split(".")[0] in ("generated_client", "use_client")]:
        del sys.modules[name]


def test_the_service_s_own_client_type_checks(tmp_path: Path) -> None:
    document = build(service_api(tmp_path))
    (tmp_path / "openapi.json").write_bytes(to_bytes(document))
    (tmp_path / "config.yaml").write_text(OWN_CONFIG)
    written = run(
        tmp_path,
        "openapi_python_client", "generate", "--path", "openapi.json", "--config", "config.yaml",
        "--meta", "none", "--output-path", "generated_client",
    )  # fmt: skip
    modules = [path for path in tmp_path.glob("generated_client/api/*/*.py") if path.name != "__init__.py"]
    assert len(modules) == sum(len(item) for item in document["paths"].values()), written
    assert "Unable to" not in written, written
    # The generator casts a list of anything to a list of anything.
    run(tmp_path, "mypy", "--strict", "--no-warn-redundant-casts", "-p", "generated_client")


def run(folder: Path, *command: str, succeeds: bool = True) -> str:
    """Runs a module of this Python in a folder; what it wrote."""
    done = subprocess.run([sys.executable, "-m", *command], cwd=folder, capture_output=True, text=True, check=False)
    written = done.stdout + done.stderr
    assert (done.returncode == 0) == succeeds, written
    return written


def test_every_operation_is_there(generated: Path) -> None:
    modules = [path for path in generated.glob("generated_client/api/*/*.py") if path.name != "__init__.py"]
    assert len(modules) == sum(len(item) for item in build(make_api())["paths"].values())


def test_the_client_and_its_use_type_check(generated: Path) -> None:
    (generated / "use_client.py").write_text(USE)
    (generated / "misuse_client.py").write_text(MISUSE)
    run(generated, "mypy", "--strict", "-p", "generated_client", "-m", "use_client")
    written = run(generated, "mypy", "--strict", "-m", "misuse_client", succeeds=False)
    assert written.count("error:") == 2, written


async def test_the_client_talks_to_the_service(generated: Path) -> None:
    (generated / "use_client.py").write_text(USE)
    use: Any = await asyncio.to_thread(__import__, "use_client")
    async with running(make_app("client")) as url:
        assert await use.use(url) == ["from-client", "ALREADY_EXISTS", "200", "one", "from-client"]
