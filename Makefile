# What a person and CI run. Set-up steps leave a stamp in .venv/.stamps and are not repeated.
#   make run ARGS="--sidecars 2"    all of Spendra on this machine
#   make test, make lint, make bench
#   make fuzz FUZZ_SECONDS=60       coverage-guided fuzzing of what reads foreign bytes
#   make build                      the three distributions' wheels, in dist/
#   make lock                       the lock files again, from requirements/*.in (needs uv)

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.PHONY: run test lint bench build lock fuzz setup

PYTHON ?= python3
UV ?= uv
ARGS ?=
FUZZ_SECONDS ?= 600
BIN := .venv/bin
STAMPS := .venv/.stamps
PACKAGES := python/spendra sidecar/spendra_sidecar control_plane/spendra_control_plane
RUST := Cargo.toml Cargo.lock $(shell find crates -name '*.rs' -o -name Cargo.toml)

export VIRTUAL_ENV := $(abspath .venv)
export PYO3_PYTHON := $(abspath .venv/bin/python)
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_QUIET := 1

run: setup
	$(BIN)/spendra up $(ARGS)

test: setup
	cargo test --locked --workspace
	$(BIN)/python -m pytest $(ARGS)

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy $(PACKAGES)
	# PyO3 adds an __all__; the stub needs none.
	MYPYPATH=python $(BIN)/stubtest spendra._hot --allowlist <(echo 'spendra._hot.__all__')
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	cargo clippy --locked --all-targets --features python -- -D warnings

bench: setup
	$(BIN)/python -m benches $(ARGS)

# Needs cargo-fuzz; FUZZ_SECONDS for each target. A stable compiler serves: no sanitizer is asked for.
fuzz: $(STAMPS)/python
	$(BIN)/python -m benches.fuzz_seeds "$${SPENDRA_WIRE:-../shared/wire}" crates/spendra_hot/fuzz/corpus
	cd crates/spendra_hot && for target in inspect usage policy; do \
	  RUSTC_BOOTSTRAP=1 cargo fuzz run --sanitizer none $$target -- \
	    -max_total_time=$(FUZZ_SECONDS) -max_len=65536 -print_final_stats=1 -verbosity=0; done

build: $(STAMPS)/locked
	rm -rf dist
	$(BIN)/maturin build --release --locked --quiet --interpreter $(BIN)/python --out dist
	$(BIN)/pip wheel --no-deps --no-build-isolation --wheel-dir dist ./sidecar ./control_plane

lock:
	cd requirements && for name in up dev; do \
	  $(UV) pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	    --no-header --no-annotate --quiet $$name.in --output-file $$name.lock; done

setup: $(STAMPS)/installed

$(STAMPS)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo 'Spendra needs Python 3.11 or newer: name one with make PYTHON=python3.11.' >&2; exit 1; }
	@command -v cargo > /dev/null || \
	  { echo 'Spendra is built with Rust: install cargo 1.88 or newer.' >&2; exit 1; }
	$(PYTHON) -m venv .venv
	mkdir -p $(STAMPS) && touch $@

$(STAMPS)/locked: requirements/dev.lock $(STAMPS)/python
	$(BIN)/pip install --require-hashes -r requirements/dev.lock
	touch $@

$(STAMPS)/hot: $(RUST) pyproject.toml $(STAMPS)/locked
	$(BIN)/maturin develop --release --locked --quiet
	touch $@

$(STAMPS)/installed: sidecar/pyproject.toml control_plane/pyproject.toml $(STAMPS)/hot
	$(BIN)/pip install --no-deps --no-build-isolation -e sidecar -e control_plane
	touch $@
