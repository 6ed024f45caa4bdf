"""The image and the composition, without a container engine: their rules, and the image's steps done in a folder, from
which the service runs as another user."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from unittest_.dockerfile import Stage, copy, in_context, parse

ROOT = Path(__file__).parent.parent
IGNORED = (ROOT / ".dockerignore").read_text()
PACKAGES = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"unittest_", "dev", "bench", "agents"}
KEY = "0123456789abcdef0123456789abcdef"
SECRET = re.compile(r"KEY|SECRET|TOKEN|PASSWORD|CREDENTIAL", re.IGNORECASE)
START_SECONDS = 60


@pytest.fixture(scope="module")
def stages() -> list[Stage]:
    return parse((ROOT / "Dockerfile").read_text())


@pytest.fixture(scope="module")
def composed() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
    return loaded


def test_every_base_is_one_version(stages: list[Stage]) -> None:
    assert {re.fullmatch(r"python:3\.\d+\.\d+-slim-\w+", stage.base) is not None for stage in stages} == {True}
    assert len({stage.base for stage in stages}) == 1
    assert len(stages) == 2


def test_the_image_runs_as_nobody_in_particular(stages: list[Stage]) -> None:
    image = stages[-1]
    (user,) = image.of("USER")
    number, _, group = user.value.partition(":")
    assert int(number) >= 10_000
    assert int(group) >= 10_000
    # What comes behind it writes nothing: only RUN and COPY of root make the image.
    words = [one.word for one in image.instructions]
    assert not {"RUN", "COPY"} & set(words[words.index("USER") :])
    assert f"install -d -o {number} -g {group}" in " ".join(one.value for one in image.of("RUN"))


def test_no_secret_is_in_the_image(stages: list[Stage]) -> None:
    for stage in stages:
        assert not stage.of("ARG")
        for name, value in stage.environment.items():
            assert not SECRET.search(name) or (name.endswith("_FILE") and value.startswith("/run/secrets/")), name
    assert not in_context("hostmonitor_api_key", IGNORED)
    assert not in_context("data", IGNORED)


def test_what_is_installed_is_pinned_by_its_hash_and_nothing_is_left_behind(stages: list[Stage]) -> None:
    runs = " && ".join(one.value for stage in stages for one in stage.of("RUN"))
    (install,) = re.findall(r"pip install ([^&]+)", runs)
    assert {"--require-hashes", "--no-cache-dir"} <= set(install.split())
    assert install.split()[-2:] == ["-r", "requirements.lock"]
    assert not re.search(r"apt-get|curl|wget|sudo|chmod 777", runs)


def test_the_image_holds_every_package_of_the_service(stages: list[Stage]) -> None:
    copied = {one.value for one in stages[0].of("COPY")}
    assert copied == {"requirements.lock ./", "main.py ./"} | {f"{name} {name}" for name in PACKAGES}
    assert all(in_context(value.split()[0], IGNORED) for value in copied)
    assert all(one.value.startswith("--from=build ") for one in stages[1].of("COPY"))


def test_the_image_says_how_it_runs(stages: list[Stage]) -> None:
    image = stages[-1]
    assert [one.exec_form for one in image.of("CMD")] == [["python", "main.py", "serve"]]
    (health,) = image.of("HEALTHCHECK")
    assert health.exec_form[:2] == ["python", "-c"]
    assert re.search(r"--timeout=\d+s .*--retries=\d+ CMD \[", health.value)
    assert [one.value for one in image.of("STOPSIGNAL")] == ["SIGTERM"]
    assert [one.value for one in image.of("EXPOSE")] == ["8000"]
    assert [one.exec_form for one in image.of("VOLUME")] == [["/srv/hostmonitor/data"]]
    labels = {name for one in image.of("LABEL") for name in one.pairs}
    assert {f"org.opencontainers.image.{name}" for name in ("title", "description", "version")} <= labels
    environment = image.environment
    assert environment["HOSTMONITOR_HOST"] == "0.0.0.0"
    for name in ("HOSTMONITOR_DATA_DIR", "HOSTMONITOR_LOG_DIR"):
        assert environment[name].startswith("/srv/hostmonitor/data"), "all else is read-only"


def test_the_composition_is_published_on_the_loopback_alone(composed: dict[str, Any]) -> None:
    services = composed["services"]
    published = [port for service in services.values() for port in service.get("ports", [])]
    assert published
    assert all(re.fullmatch(r"127\.0\.0\.1:[^:]+(:-\d+\})?:\d+", port) for port in published)
    # The stores ask nobody who they are: no network leads to them but the one that they share with the service.
    assert all(services[name]["networks"] == ["stores"] for name in ("elasticsearch", "influxdb"))
    assert composed["networks"]["stores"]["internal"] is True
    assert not any(service.get("network_mode") for service in services.values())


def test_every_service_of_the_composition_is_bounded_and_watched(composed: dict[str, Any], stages: list[Stage]) -> None:
    for name, service in composed["services"].items():
        assert not service.get("privileged"), name
        assert "no-new-privileges:true" in service["security_opt"], name
        assert re.fullmatch(r"\d+[mg]", service["mem_limit"]), name
        assert service["restart"] == "unless-stopped", name
        assert "healthcheck" in service or stages[-1].of("HEALTHCHECK"), name
        assert not any("/var/run/docker.sock" in volume for volume in service["volumes"]), name
        for volume in service["volumes"]:
            assert volume.split(":")[0] in composed["volumes"], name
        for variable, value in service["environment"].items():
            assert not SECRET.search(variable) or not value, variable
        if "image" in service and "build" not in service:
            assert re.fullmatch(r"[a-z]+:\d+\.\d+\.\d+", service["image"]), name
    ours = composed["services"]["hostmonitor"]
    assert {name: asked["condition"] for name, asked in ours["depends_on"].items()} == {
        "elasticsearch": "service_healthy",
        "influxdb": "service_healthy",
    }
    assert all("healthcheck" in composed["services"][name] for name in ours["depends_on"])
    assert (ours["read_only"], ours["cap_drop"], ours["tmpfs"]) == (True, ["ALL"], ["/tmp"])
    assert ours["secrets"] == list(composed["secrets"]) == ["hostmonitor_api_key"]
    (volume,) = ours["volumes"]
    assert volume.partition(":")[2] == stages[-1].of("VOLUME")[0].exec_form[0]
    assert int(ours["stop_grace_period"][:-1]) > 15, "the service's own time to end"


def as_another() -> tuple[list[str], str]:
    """What runs a command as a user without rights, and the Python that this user can run."""
    others = ["setpriv", "--reuid=10001", "--regid=10001", "--clear-groups"] if os.geteuid() == 0 else []
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for python in (os.path.realpath(sys.executable), f"/usr/bin/{version}", f"/usr/local/bin/{version}"):
        if Path(python).exists() and not subprocess.run([*others, python, "-c", ""], check=False).returncode:
            return others, python
    pytest.fail(f"no {version} that another user can run")


def install(site: Path, others: list[str]) -> None:
    """What pip would install by the lock, from what is installed here by the same lock (`make setup`): linked where the
    other user can read it, else copied."""
    lock = (ROOT / "requirements.lock").read_text()
    for name, version in re.findall(r"^([\w.-]+)==([^\s;\\]+)", lock, re.MULTILINE):
        try:
            found = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            # Of another system alone.
            assert re.search(rf"^{re.escape(name)}==\S+ ;", lock, re.MULTILINE), name
            continue
        assert found.version == version, f"{name} {found.version} is installed, not {version}: run make setup"
        for top in {file.parts[0] for file in found.files or () if file.parts[0] != ".."}:
            place, origin = site / top, Path(str(found.locate_file(top)))
            if place.exists():
                continue  # several put something into one folder
            if not subprocess.run([*others, "test", "-r", origin], check=False).returncode:
                place.symlink_to(origin)
            elif origin.is_dir():
                shutil.copytree(origin, place)
            else:
                shutil.copy2(origin, place)


@pytest.fixture(scope="module")
def built(stages: list[Stage]) -> Iterator[tuple[Path, list[str]]]:
    """The image's root in a folder, made by its own instructions, and what runs a command in it as its user."""
    others, python = as_another()
    with tempfile.TemporaryDirectory() as scratch:
        Path(scratch).chmod(0o755)
        folders = {stage.name or "image": Path(scratch) / (stage.name or "image") for stage in stages}
        for stage in stages:
            make(stage, folders, python, others)
        yield folders["image"], others


def make(stage: Stage, folders: dict[str, Path], python: str, others: list[str]) -> None:
    """Does what a stage says; a RUN that nobody here foresaw fails."""
    folder, work = folders[stage.name or "image"], "/"
    for one in stage.instructions:
        if one.word == "WORKDIR":
            work = one.value
            (folder / work.lstrip("/")).mkdir(parents=True)
        elif one.word == "COPY" and one.value.startswith("--from="):
            origin, _, rest = one.value.removeprefix("--from=").partition(" ")
            source, target = rest.split()
            shutil.copytree(
                folders[origin] / source.lstrip("/"), folder / target.lstrip("/"), symlinks=True, dirs_exist_ok=True
            )
        elif one.word == "COPY":
            copy(one.value, ROOT, folder, work)
        elif one.word == "RUN":
            for command in map(str.strip, one.value.split("&&")):
                run(command, folder, work, python, others)


def run(command: str, folder: Path, work: str, python: str, others: list[str]) -> None:
    venv = folder / "opt/venv"
    if command == "python -m venv /opt/venv":
        subprocess.run([python, "-m", "venv", "--without-pip", venv], check=True)
    elif "pip install" in command:
        (site,) = venv.glob("lib/python3*/site-packages")
        install(site, others)
    elif command.startswith(("/opt/venv/bin/python -m compileall ", "install -d ")):
        words = [re.sub(r"^/(?=opt|srv)", f"{folder}/", word) for word in command.split()]
        if os.geteuid() != 0:
            words = [word for at, word in enumerate(words) if not {"-o", "-g"} & set(words[max(at - 1, 0) : at + 1])]
        subprocess.run(words, cwd=folder / work.lstrip("/"), check=True)
    else:
        pytest.fail(f"a step that this test does not know: {command}")


def test_the_image_s_command_serves_as_another_user(stages: list[Stage], built: tuple[Path, list[str]]) -> None:
    folder, others = built
    image = stages[-1]
    key = folder / "run/secrets/hostmonitor_api_key"
    key.parent.mkdir(parents=True)
    key.write_text(KEY + "\n")
    work = folder / image.of("WORKDIR")[0].value.lstrip("/")
    before = listing(folder)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = {
        name: re.sub(r"(?<![\w.])/(?=opt|srv|run)", f"{folder}/", value) for name, value in image.environment.items()
    }
    environment |= {"HOSTMONITOR_PORT": str(port), "HOME": "/nonexistent"}
    (command,), (health,) = image.of("CMD"), image.of("HEALTHCHECK")
    started = [shutil.which(command.exec_form[0], path=environment["PATH"]) or "", *command.exec_form[1:]]
    checked = [started[0], *health.exec_form[1:]]
    process = subprocess.Popen([*others, *started], cwd=work, env=environment, stdout=subprocess.DEVNULL)
    try:
        end = time.monotonic() + START_SECONDS
        while subprocess.run(
            [*others, *checked], cwd=work, env=environment, stderr=subprocess.DEVNULL, check=False
        ).returncode:
            assert process.poll() is None, "it has ended"
            assert time.monotonic() < end, "its health check does not succeed"
            time.sleep(0.2)
        assert Path(f"/proc/{process.pid}").stat().st_uid == (10_001 if others else os.geteuid())
        url = f"http://127.0.0.1:{port}/es/index"
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(url)
        with urllib.request.urlopen(urllib.request.Request(url, headers={"x-api-key": KEY})) as answered:
            assert answered.status == 200
        process.send_signal(getattr(signal, image.of("STOPSIGNAL")[0].value))
        assert process.wait(20) == 0
    finally:
        process.kill()
    # Its root could have been read-only: all that it wrote is in its volume.
    volume = image.of("VOLUME")[0].exec_form[0].lstrip("/")
    assert {path for path in listing(folder) - before if not path.startswith(volume)} == set()
    assert any(path.startswith(f"{volume}/logs/") for path in listing(folder))


def listing(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_without_its_key_the_image_does_not_start(stages: list[Stage], built: tuple[Path, list[str]]) -> None:
    folder, others = built
    environment = {
        name: re.sub(r"(?<![\w.])/(?=opt|srv)", f"{folder}/", value) for name, value in stages[-1].environment.items()
    }
    environment["HOSTMONITOR_API_KEY_FILE"] = str(folder / "run/secrets/nothing")
    python = shutil.which("python", path=environment["PATH"]) or ""
    done = subprocess.run(
        [*others, python, "main.py", "serve"],
        cwd=folder / "srv/hostmonitor",
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "HOSTMONITOR_API_KEY_FILE" in done.stderr
