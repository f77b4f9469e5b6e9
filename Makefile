# What a person types here. `make` lists it. Works with GNU make 3.81 (macOS) and later.
SHELL := /bin/bash
PYTHON ?= python3
VENV ?= .venv
BENCH_VENV ?= .venv-bench
BIN := $(VENV)/bin
PIP := -m pip --disable-pip-version-check --no-input
CODE := $(wildcard collector telemetry alerting simulator grafana benchmarks tools tests)
# Modules that write committed files from the code that they describe; each takes --check.
GENERATORS := telemetry.generate collector.docs collector.describe_records alerting.rules alerting.alertmanager grafana

.DEFAULT_GOAL := help
.PHONY: help install demo test test-full lint format types soak weather fuzz bench docs lock build hooks clean tools stack env

help: ## list what make can do
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

install: $(VENV)/.dev ## everything that the targets below need, into .venv, from the lock

demo: $(VENV)/.demo ## simulator and collector on this machine: no Docker, no exchange; prints what to open
	@exec $(BIN)/python -m collector.demo

test: $(VENV)/.dev ## the tests, with branch coverage; under 5 minutes
	$(BIN)/pytest --cov --cov-report=term

test-full: $(VENV)/.dev ## the tests that take servers, processes or seconds
	$(BIN)/pytest -m "full and not soak"

lint: $(VENV)/.dev ## style, format and the arrows between packages
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo

format: $(VENV)/.dev ## rewrite to the style
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

types: $(VENV)/.dev ## strict types
	$(BIN)/mypy $(CODE)

soak: $(VENV)/.dev ## what takes minutes to hours: fifty kills under load
	$(BIN)/pytest -m soak

weather: $(VENV)/.dev tools ## an hour of normal weather: nothing but Watchdog may fire
	$(BIN)/pytest -m weather

fuzz: $(VENV)/.dev ## the property tests with fresh random input, a hundred times as much of it
	$(BIN)/pytest -m "(hypothesis or fuzz) and not soak and not weather" --hypothesis-profile=fuzz

bench: $(BENCH_VENV)/.bench ## CPU a message, beside cryptofeed on the same stream
	$(BENCH_VENV)/bin/python -m benchmarks

docs: $(VENV)/.dev ## write again all files that are generated from code
	@set -e; for module in $(GENERATORS); do echo "$(BIN)/python -m $$module"; $(BIN)/python -m $$module; done

# Names, versions and hashes only: no index address. Keeps what still fits; UPGRADE=1 takes the newest.
LOCK = $(BIN)/uv pip compile --quiet --no-config --universal --python-version 3.11 --generate-hashes --no-header \
	--no-annotate --no-emit-index-url --no-emit-find-links $(if $(UPGRADE),--upgrade) pyproject.toml
lock: $(BIN)/python ## make requirements/*.lock again (UPGRADE=1: with the newest versions)
	@test -x $(BIN)/uv || $(BIN)/python $(PIP) install --quiet --no-deps --require-hashes -r requirements/dev.lock
	$(LOCK) --group dev --extra export --extra grpc --extra simulator -o requirements/dev.lock
	$(LOCK) --constraint requirements/dev.lock -o requirements/run.lock
	$(LOCK) --constraint requirements/dev.lock --group build --extra simulator -o requirements/demo.lock
	$(LOCK) --constraint requirements/dev.lock --group build --extra bench --extra simulator -o requirements/bench.lock

build: $(VENV)/.dev ## the wheel and the source archive, into dist/
	$(BIN)/python -m build --no-isolation

hooks: $(VENV)/.dev ## run lint and types before each commit
	$(BIN)/pre-commit install

clean: ## remove all that make made
	rm -rf $(VENV) $(BENCH_VENV) dist build .coverage .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

env: $(BIN)/python ## write .env with random passwords for docker compose; never overwrites
	@$(BIN)/python -m tools.env

tools: $(BIN)/python ## build the real OpenTelemetry Collector, Prometheus, Alertmanager, Jaeger, Loki: once, then cached
	@$(BIN)/python -m tools.build

stack: $(VENV)/.demo tools ## run the real OpenTelemetry Collector, Prometheus, Alertmanager, bridge, Jaeger, Loki until Ctrl-C
	@exec $(BIN)/python -m tools.stack

# An environment is made once, and again when its lock or pyproject.toml changes. A lock holds all that is needed, so
# nothing is resolved (--no-deps): else pip 23 takes `name[extra]` for another package than the locked `name`, and fails
# as soon as a newer version of it is out. `check` tells what a lock lacks.
define install-locked
$(1)/bin/python $(PIP) install --quiet --no-deps --require-hashes -r $(2)
$(1)/bin/python $(PIP) install --quiet --no-deps --no-build-isolation -e .
$(1)/bin/python $(PIP) check
@touch $@
endef

$(VENV)/.dev: requirements/dev.lock pyproject.toml | $(BIN)/python
	$(call install-locked,$(VENV),$<)

$(VENV)/.demo: requirements/demo.lock pyproject.toml | $(BIN)/python
	$(call install-locked,$(VENV),$<)

$(BENCH_VENV)/.bench: requirements/bench.lock pyproject.toml | $(BENCH_VENV)/bin/python
	$(call install-locked,$(BENCH_VENV),$<)

$(BIN)/python $(BENCH_VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "MarketPrism needs Python 3.11 or newer, and '$(PYTHON)' is not; for example: make PYTHON=python3.13 …" >&2; exit 1; }
	$(PYTHON) -m venv $(patsubst %/bin/python,%,$@)
