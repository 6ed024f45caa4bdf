"""Tries sanic-restplus on this service's Sanic, in a throw-away environment: python -m dev.why_not_sanic_restplus."""

import subprocess
import tempfile
import venv

OTHERS = ["jsonschema", "pytz", "aniso8601", "six", "methodtools", "jinja2", "sanic-plugin-toolkit", "setuptools<80"]

with tempfile.TemporaryDirectory() as folder:
    venv.create(folder, with_pip=True)
    python = f"{folder}/bin/python"
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    print("1. Installed together:", flush=True)
    subprocess.run([*pip, "sanic-restplus==0.6.4", "sanic>=25.12.1,<26"], check=False)
    print("2. Its pins overridden, and all else that it imports given:", flush=True)
    subprocess.run([*pip, "sanic>=25.12.1,<26", *OTHERS], check=True)
    subprocess.run([*pip, "--no-deps", "sanic-restplus==0.6.4", "sanic-jinja2"], capture_output=True, check=True)
    subprocess.run([python, "-W", "ignore", "-c", "import sanic_restplus"], check=False)
