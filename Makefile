# Everything runs from here, on a machine with make and Python 3.11 or newer.
#   make run      serve on 127.0.0.1:8000 with the embedded store under ./data
#   make test     every test, on real stores that are started and stopped here (PYTEST_ARGS= for pytest)
#   make test ES_VERSION=9.5.3 ES_JAVA_HOME=<JDK 21 or newer>   the conformance suite on that Elasticsearch
#   make check    ruff, formatting, mypy --strict
#   make bench    the measurements of docs/benchmarks.md
#   make demo     load the generated samples into the running service
#   make lock     resolve requirements*.in anew
#   make setup    .venv with all that the above need
SHELL := /bin/bash
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { command -v $$p; exit; }; done)
UV ?= $(shell command -v uv 2>/dev/null)
PY := .venv/bin/python
ES_DEFAULT_VERSION := 8.19.21
ES_VERSION ?= $(ES_DEFAULT_VERSION)
export ES_VERSION ES_JAVA_HOME
# Modules are compiled once, not at each of the many starts of a service that the tests make.
export PYTHONDONTWRITEBYTECODE :=
ifeq ($(ES_VERSION),$(ES_DEFAULT_VERSION))
TESTS ?=
NEEDS := --needs chromium --needs nginx
else
TESTS ?= unittest_/conformance
NEEDS :=
endif
PYTEST_ARGS ?=
BENCH_ARGS ?=
DEMO_ARGS ?=

ifneq ($(strip $(UV)),)
install = $(UV) pip install --quiet --compile-bytecode --python $(PY) --require-hashes -r $(1)
else
# An environment that uv made has no pip.
install = { $(PY) -m pip --version >/dev/null 2>&1 || $(PY) -m ensurepip >/dev/null; } && \
	$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r $(1)
endif

.PHONY: setup run test check bench demo lock clean
.DELETE_ON_ERROR:

setup: .venv/.dev

.venv/.python:
	@[ -n "$(PYTHON)" ] || { echo "make: Python 3.11 or newer is needed (python3)" >&2; exit 1; }
ifneq ($(strip $(UV)),)
	$(UV) venv --quiet --clear --python "$(PYTHON)" .venv
else
	"$(PYTHON)" -m venv --clear .venv || { echo "make: the venv module is missing; on Debian: apt-get install python3-venv" >&2; exit 1; }
endif
	@touch $@

.venv/.run: requirements.lock | .venv/.python
	$(call install,requirements.lock)
	@touch $@

.venv/.dev: requirements-dev.lock | .venv/.run
	$(call install,requirements-dev.lock)
	@touch $@

run: .venv/.run
	$(PY) main.py serve

test: .venv/.dev
	$(PY) -m dev.stores run $(NEEDS) -- $(PY) -m dev.suite $(TESTS) $(PYTEST_ARGS)

check: .venv/.dev
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy .

bench: .venv/.dev
	$(PY) -m dev.stores run --needs wrk -- $(PY) -m bench $(BENCH_ARGS)

demo: .venv/.run
	$(PY) main.py demo $(DEMO_ARGS)

# One resolution for both: the development lock first, the runtime's held to it.
lock: .venv/.dev
	.venv/bin/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
		--no-header --quiet --upgrade requirements-dev.in -o requirements-dev.lock
	.venv/bin/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
		--no-header --quiet -c requirements-dev.lock requirements.in -o requirements.lock
	@! grep -nE 'https?://|--(extra-)?index-url|--find-links' requirements.lock requirements-dev.lock

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis build
