"""What every test shares: the real stores' addresses and the folder of real data.

`make test` starts the stores and sets HOSTMONITOR_TEST_ES_URL and HOSTMONITOR_TEST_INFLUX_URL. A test that asks
for one without it fails and says how to get one; no test is skipped. A test that asks for `test_data` is collected
only where HOSTMONITOR_TEST_DATA names the folder (`.ci/run` sets it).
"""

import os
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from hypothesis import settings

from dev import machine

# A busy machine is no fault: what has a bound of time asserts it itself.
settings.register_profile("project", deadline=None)
settings.load_profile("project")

REMEDY = "run `make test`, or `python -m dev.stores start` and then `eval $(python -m dev.stores env)`"


def _store(variable: str, probe: str) -> str:
    """The address in an environment variable, without a trailing slash, once it has answered."""
    url = os.environ.get(variable, "").rstrip("/")
    if not url:
        pytest.fail(f"{variable} is not set: {REMEDY}", pytrace=False)
    try:
        with urllib.request.urlopen(url + probe, timeout=10):
            return url
    except (urllib.error.URLError, OSError) as error:
        pytest.fail(f"nothing answers at {variable}={url} ({error}): {REMEDY}", pytrace=False)


@pytest.fixture(scope="session")
def es_url() -> str:
    """The base URL of a real Elasticsearch 8 or 9."""
    return _store("HOSTMONITOR_TEST_ES_URL", "/_cluster/health")


@pytest.fixture(scope="session")
def influx_url() -> str:
    """The base URL of a real server with InfluxDB's v1 HTTP API."""
    return _store("HOSTMONITOR_TEST_INFLUX_URL", "/ping")


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of real logs and metrics; raises where the variable names none."""
    path = Path(os.environ["HOSTMONITOR_TEST_DATA"])
    if not path.is_dir():
        pytest.fail(f"HOSTMONITOR_TEST_DATA={path} is no folder", pytrace=False)
    return path


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of a Chromium that playwright drives."""
    path = machine.find("chromium")
    if path is None:
        pytest.fail("no Chromium: run `make test`, which installs Debian's as root", pytrace=False)
    return path


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if os.environ.get("HOSTMONITOR_TEST_DATA"):
        return
    needs_data = [item for item in items if "test_data" in getattr(item, "fixturenames", ())]
    if needs_data:
        config.hook.pytest_deselected(items=needs_data)
        items[:] = [item for item in items if item not in needs_data]
