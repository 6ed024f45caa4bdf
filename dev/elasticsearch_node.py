"""A real Elasticsearch for the tests: from a container, else from Maven's jars and a small launcher."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from dev.instance import (
    STATE,
    Instance,
    StoreError,
    await_answer,
    free_port,
    fresh_folder,
    launch,
    launch_container,
)
from dev.machine import ensure, has_container_engine

DEFAULT_VERSION = "8.19.21"
FIRST_PORT = 19200
PROBE = "/_cluster/health?timeout=1s"
SOURCES = Path(__file__).parent / "elasticsearch"
LOGGING = """\
status = error
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d %p %c{1.} %m%n
rootLogger.level = warn
rootLogger.appenderRef.console.ref = console
"""


def start() -> Instance:
    """Start one node of $ES_VERSION with an empty data folder; raises StoreError, MissingProgramError."""
    version = os.environ.get("ES_VERSION") or DEFAULT_VERSION
    port = free_port("HOSTMONITOR_TEST_ES_PORT", FIRST_PORT)
    folder = fresh_folder(f"es-{port}")
    about = {"kind": "es", "version": version, "url": f"http://127.0.0.1:{port}"}
    instance = _from_container(port, folder, about) if has_container_engine() else None
    if instance is None:
        instance = launch(_command(version, port, folder), folder, **about)
    await_answer(instance, PROBE)
    return instance


def _from_container(port: int, folder: Path, about: dict[str, str]) -> Instance | None:
    """The node in a container, or None (and a word) where the image cannot be had."""
    arguments = ["-p", f"127.0.0.1:{port}:9200"]
    for setting in (
        "discovery.type=single-node",
        "xpack.security.enabled=false",
        "action.destructive_requires_name=true",
        "cluster.routing.allocation.disk.threshold_enabled=false",
        f"ES_JAVA_OPTS=-Xms{_heap()} -Xmx{_heap()}",
    ):
        arguments += ["-e", setting]
    try:
        return launch_container(f"elasticsearch:{about['version']}", arguments, folder, **about)
    except StoreError as error:
        print(f"stores: {error}; trying Maven's jars", file=sys.stderr)
        return None


def _command(version: str, port: int, folder: Path) -> list[str]:
    """The command of a node from the jars, its home made in `folder`."""
    java = _java("java", "java")
    classes = _build(version)
    (folder / "config").mkdir()
    (folder / "config" / "log4j2.properties").write_text(LOGGING)
    shutil.copytree(classes / "module", folder / "modules" / "transport-netty4")
    settings = {
        "cluster.name": "hostmonitor-test",
        "node.name": "test-1",
        "network.host": "127.0.0.1",
        "http.port": port,
        "transport.port": free_port("HOSTMONITOR_TEST_ES_TRANSPORT_PORT", port + 100),
        "discovery.type": "single-node",
        "transport.type": "netty4",
        "http.type": "netty4",
        "action.destructive_requires_name": "true",
        "cluster.routing.allocation.disk.threshold_enabled": "false",
    }
    return [
        java,
        f"-Xms{_heap()}",
        f"-Xmx{_heap()}",
        "-cp",
        f"{classes}{os.pathsep}{classes}/lib/*",
        "TestNode",
        str(folder),
        *(f"{name}={value}" for name, value in settings.items()),
    ]


def _build(version: str) -> Path:
    """The folder with the version's jars (lib), its transport as a module (module), and the launcher; made once."""
    ensure("maven")
    folder = STATE / f"elasticsearch-{version}"
    if (folder / "TestNode.class").exists():
        return folder
    print(f"stores: fetching Elasticsearch {version}", file=sys.stderr, flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(SOURCES, folder)
    _run(
        ["mvn", "-B", "-q", f"-Delasticsearch.version={version}", "dependency:copy-dependencies"],
        folder,
    )
    module = folder / "module"
    module.mkdir()
    for pattern in ("netty-*.jar", "transport-netty4-*.jar"):
        for jar in (folder / "lib").glob(pattern):
            jar.rename(module / jar.name)
    transport = next(module.glob("transport-netty4-*.jar"))
    with zipfile.ZipFile(transport) as jar_file:
        descriptor = jar_file.read("META-INF/es-plugins/transport-netty4/plugin-descriptor.properties").decode()
    # The jar is loaded from the class path of the module, not as a named Java module.
    kept = [line for line in descriptor.splitlines() if not line.startswith("modulename")]
    (module / "plugin-descriptor.properties").write_text("\n".join(kept) + "\n")
    _run([_java("javac", "java"), "-cp", f"{folder}/lib/*", "-d", str(folder), "TestNode.java"], folder)
    return folder


def _java(tool: str, program: str) -> str:
    """The path of java or javac: $ES_JAVA_HOME's, $JAVA_HOME's, else the one found; raises StoreError if too old."""
    home = os.environ.get("ES_JAVA_HOME")
    if home:
        path = Path(home, "bin", tool)
        if not path.exists():
            raise StoreError(f"ES_JAVA_HOME={home} holds no bin/{tool}")
    else:
        ensure(program)
        path = Path(shutil.which(tool) or tool)
    said = subprocess.run([path, "-version"], capture_output=True, text=True, check=False)
    found = re.search(r"(\d+)", said.stderr or said.stdout)
    needed = 21 if int((os.environ.get("ES_VERSION") or DEFAULT_VERSION).split(".")[0]) >= 9 else 17
    if found is None or int(found[1]) < needed:
        raise StoreError(f"{path} is too old: Java {needed} or newer is needed; name it by ES_JAVA_HOME")
    return str(path)


def _heap() -> str:
    return os.environ.get("ES_HEAP") or "512m"


def _run(command: list[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise StoreError(f"{command[0]} failed:\n{(done.stdout + done.stderr)[-3000:]}")
