"""Shows what aioinflux writes and asks, in a throw-away environment: python -m dev.why_not_aioinflux."""

import subprocess
import tempfile
import venv

PROBE = r"""
import inspect
from aioinflux import InfluxDBClient
from aioinflux.serialization.mapping import serialize
def show(what, **point):
    print(f"{what:22}", serialize({"measurement": "m", "fields": {"v": 1}, **point}))
show("time 0 is lost", time=0)
show("nanoseconds are lost", time="2026-11-22T00:00:00.123456789Z")
show("NaN is sent", fields={"v": float("nan")})
show("2^63 is sent", fields={"v": 2**63})
show("newlines are deleted", tags={"a": "two\nlines"})
print("SHOW is not quoted:\n", inspect.getsource(InfluxDBClient.show_tag_keys))
"""

with tempfile.TemporaryDirectory() as folder:
    venv.create(folder, with_pip=True)
    subprocess.run([f"{folder}/bin/python", "-m", "pip", "install", "--quiet", "aioinflux==0.9.0"], check=True)
    subprocess.run([f"{folder}/bin/python", "-W", "ignore", "-c", PROBE], check=True)
