"""The settings: where they come from, what is refused and how, and that docs/settings.md tells the truth."""

import re
from pathlib import Path

import pytest
from pydantic import SecretStr

from config.instances import InstanceSettings
from config.load import load_settings, setting_paths, variable
from config.settings import Settings, check_exposure
from libs.errors import ConfigError

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted((ROOT / "config").glob("*.toml"))


def toml(folder: Path, text: str) -> dict[str, str]:
    path = folder / "settings.toml"
    path.write_text(text)
    return {"HOSTMONITOR_CONFIG": str(path)}


def refusal(environ: dict[str, str]) -> str:
    with pytest.raises(ConfigError) as caught:
        load_settings(environ)
    return caught.value.message


def test_defaults_serve_both_kinds_embedded_on_the_loopback() -> None:
    settings = load_settings({})
    assert (settings.host, settings.port) == ("127.0.0.1", 8000)
    assert {name: store.backend_name for name, store in settings.stores().items()} == {
        "es": "embedded",
        "influx": "embedded",
    }


def test_the_environment_wins_over_the_file_setting_by_setting(tmp_path: Path) -> None:
    environ = toml(tmp_path, "port = 1\n[limits]\ngroups = 7\nmemory_mb = 64\n")
    settings = load_settings(environ | {"HOSTMONITOR_PORT": "2", "HOSTMONITOR_LIMITS__GROUPS": "9"})
    assert (settings.port, settings.limits.groups, settings.limits.memory_mb) == (2, 9, 64)


def test_the_process_environment_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOSTMONITOR_PORT", "1234")
    assert load_settings({}).port == 8000
    assert Settings().port == 8000


def test_an_instance_takes_its_secret_from_the_environment(tmp_path: Path) -> None:
    text = '[instances.es-eu]\nkind = "documents"\nurl = "http://h:9200/"\nusername = "u"\n'
    settings = load_settings(toml(tmp_path, text) | {"HOSTMONITOR_INSTANCES__ES_EU__PASSWORD": "123"})
    store = settings.stores()["es-eu"]
    assert store.password == SecretStr("123")
    assert (store.url, store.backend_name) == ("http://h:9200", "es")
    assert "123" not in repr(settings)


def test_the_url_of_a_default_instance(tmp_path: Path) -> None:
    text = '[instances.influx]\nkind = "series"\nurl = "http://a:8086"\ntoken = "t"\n'
    environ = toml(tmp_path, text)
    assert load_settings(environ).stores()["influx"].url == "http://a:8086"
    other = load_settings(environ | {"HOSTMONITOR_INFLUX_URL": "http://b:8086"}).stores()["influx"]
    assert (other.url, other.token) == ("http://b:8086", SecretStr("t"))


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("HOSTMONITOR_PRT", "HOSTMONITOR_PORT"),
        ("HOSTMONITOR_LIMITS__GROUP", "HOSTMONITOR_LIMITS__GROUPS"),
        ("HOSTMONITOR_INSTANCES__ES_EU__PASWORD", "HOSTMONITOR_INSTANCES__ES_EU__PASSWORD"),
    ],
)
def test_an_unknown_variable_is_named_with_the_nearest_known_one(name: str, nearest: str) -> None:
    message = refusal({name: "secret-value"})
    assert message == f"{name} is not a setting; the nearest one is {nearest}"


def test_variables_of_the_tests_are_ignored() -> None:
    assert load_settings({"HOSTMONITOR_TEST_ES_URL": "x", "PATH": "y"}).model_dump() == Settings().model_dump()


def test_an_unknown_key_of_the_file_is_named_with_the_nearest_known_one(tmp_path: Path) -> None:
    message = refusal(toml(tmp_path, "prot = 1\n[limits]\ngroup = 3\n"))
    assert "prot is not a setting; the nearest one is port" in message
    assert "limits.group is not a setting; the nearest one is limits.groups" in message


@pytest.mark.parametrize(
    "text",
    [
        '[instances.mix]\nkind = "documents"',
        '[instances.health]\nkind = "documents"',
        '[instances.Es]\nkind = "documents"',
        '[instances.a_b]\nkind = "documents"',
        f'[instances.{"a" * 33}]\nkind = "documents"',
        '[instances.es]\nkind = "series"',
        '[instances.a]\nkind = "tables"',
        '[instances.a]\nurl = "http://h"',
        '[instances.a]\nkind = "documents"\nurl = "http://user:canary@h"',
        '[instances.a]\nkind = "documents"\nurl = "ftp://h"',
        '[instances.a]\nkind = "documents"\nurl = "http://h:99999"',
        '[instances.a]\nkind = "documents"\nurl = "http://h/?q=1"',
        '[instances.a]\nkind = "documents"\nurl = "http://h"\npassword = "canary"',
        '[instances.a]\nkind = "documents"\nurl = "http://h"\nusername = "u"\npassword = "canary"\ntoken = "canary"',
        '[instances.a]\nkind = "documents"\ntoken = "canary"',
        '[instances.a]\nkind = "documents"\nurl = "http://h"\nca_file = "ca.pem"',
        '[instances.a]\nkind = "documents"\nbackend = "../x"',
        'base_path = "/a/"',
        'base_path = "a"',
        'base_path = "/.."',
        'public_url = "gateway"',
        "port = 70000",
        "[limits]\ntimeout_seconds = nan",
        "limits = 3",
        "port = ",
    ],
)
def test_wrong_settings_stop_the_start_and_show_no_secret(tmp_path: Path, text: str) -> None:
    assert "canary" not in refusal(toml(tmp_path, text))


def test_a_missing_file_is_named() -> None:
    assert refusal({"HOSTMONITOR_CONFIG": "nowhere.toml"}) == "HOSTMONITOR_CONFIG=nowhere.toml is no file"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_on_the_loopback_the_open_door_is_told(host: str) -> None:
    said = check_exposure(Settings(host=host), has_keys=False)
    assert said is not None
    assert "no key" in said
    assert check_exposure(Settings(host=host), has_keys=True) is None


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.1.2.3", "example.com", "127.0.0.1.example.com"])
def test_elsewhere_the_open_door_is_refused(host: str) -> None:
    with pytest.raises(ConfigError, match="there is no key"):
        check_exposure(Settings(host=host), has_keys=False)
    assert check_exposure(Settings(host=host), has_keys=True) is None


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_the_examples_load(path: Path) -> None:
    assert load_settings({"HOSTMONITOR_CONFIG": str(path)}).loopback


def test_the_document_lists_every_setting_with_its_default() -> None:
    document = (ROOT / "docs" / "settings.md").read_text()
    rows = dict(re.findall(r"^\| `(HOSTMONITOR_\w+)` \| (?:`([^`]*)`)? ?\|", document, re.MULTILINE))
    del rows["HOSTMONITOR_CONFIG"]
    assert rows.keys() == {variable(path) for path in setting_paths()}
    settings = Settings()
    for path in setting_paths():
        value: object = settings
        for part in path:
            value = getattr(value, part)
        shown = f"{value:g}" if isinstance(value, float) else str(value if value is not None else "")
        assert rows[variable(path)] == shown, path


def test_the_document_lists_every_key_of_an_instance() -> None:
    document = (ROOT / "docs" / "settings.md").read_text()
    keys = re.findall(r"^\| `([a-z_]+)` \|", document, re.MULTILINE)
    assert keys == list(InstanceSettings.model_fields)
