# `make help` lists the targets. Nothing here needs root except the installation of missing Debian packages and the
# lab's build, which use sudo and say so. What is done to hosts is the command `hearth`, which `make setup` installs.
SHELL := /bin/bash
# A pipeline fails when any part of it does.
.SHELLFLAGS := -o pipefail -ec
.DEFAULT_GOAL := help
.PHONY: help setup machine machine-to-run demo test check unit bench clean

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
WITH ?=
SUITE ?= test
GO_ON ?= 0
IMAGES ?= auto

SUITES := test all proxy proxy-long scenarios faults house places arm64 unproven
ifeq ($(filter $(SUITES),$(SUITE)),)
$(error SUITE = $(SUITE): use one of $(SUITES))
endif
ifneq ($(filter-out verify watch dev,$(WITH)),)
$(error WITH = $(WITH): use verify, watch, dev or nothing)
endif

help:
	@awk -F ':.*## ' '/^##@ / { print substr($$0, 5) } /^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "Hosts: $(BIN)/hearth --help"

NEW_ENOUGH := -c 'import sys; sys.exit(sys.version_info < (3, 11))'

# --no-compile: Python compiles what is used when it is used; compiling all of it beforehand takes a third of the time.
$(VENV)/.deploy: requirements.txt pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) is missing: sudo apt-get install python3 python3-venv"; exit 1; }
	@$(PYTHON) $(NEW_ENOUGH) || { echo "Hearth needs Python 3.11 or later, and $(PYTHON) is $$($(PYTHON) --version). With another one: make setup PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { echo "python3-venv is missing: sudo apt-get install python3-venv"; exit 1; }
	@echo "Installing the Python packages into $(VENV) …"
	@$(BIN)/python $(NEW_ENOUGH) 2>/dev/null || $(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/pip install --quiet --no-compile --disable-pip-version-check --require-hashes -r requirements.txt
	@# The command `hearth`. No index is asked: the build backend is one of the packages above.
	@$(BIN)/pip install --quiet --no-compile --disable-pip-version-check --no-index --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.verify: requirements-verify.txt $(VENV)/.deploy
	@echo "Installing the packages for the acceptance tests into $(VENV) …"
	@$(BIN)/pip install --quiet --no-compile --disable-pip-version-check --require-hashes -r requirements-verify.txt
	@touch $@

$(VENV)/.watch: requirements-watch.txt $(VENV)/.deploy
	@echo "Installing the packages for the messages of hearth watch into $(VENV) …"
	@$(BIN)/pip install --quiet --no-compile --disable-pip-version-check --require-hashes -r requirements-watch.txt
	@touch $@

$(VENV)/.dev: requirements-dev.txt $(VENV)/.deploy
	@echo "Installing the packages for lab and tests into $(VENV) …"
	@$(BIN)/pip install --quiet --no-compile --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

##@ Users
setup: $(VENV)/.deploy $(addprefix $(VENV)/.,$(WITH)) ## install the command hearth into .venv; WITH=verify adds what `hearth verify` needs, WITH=watch what the messages of `hearth watch` need, WITH=dev the lab and the tests
	@echo "Next: $(BIN)/hearth --help"

machine-to-run:
	@lab/machine.sh --without-build

demo: machine-to-run $(VENV)/.dev ## deploy to a fresh virtual machine, send a prompt, print the page's address; IMAGES=hub, built or auto
	@$(BIN)/python -m tests.run demo --images '$(IMAGES)'

##@ Developers
machine:
	@lab/machine.sh $(if $(filter arm64,$(SUITE)),--arm64,--browser)

check: $(VENV)/.dev ## ruff, strict mypy, shellcheck, shfmt, typos, oxlint, actionlint, commit subjects
	@$(BIN)/python -m tests.run check

unit: $(VENV)/.dev ## tests that need no host
	@$(BIN)/python -m tests.run unit

test: machine $(VENV)/.dev ## checks, unit tests, a deploy to the lab, acceptance and browser tests; SUITE=… runs another suite (see CONTRIBUTING.md)
	@GO_ON='$(GO_ON)' $(BIN)/python -m tests.run '$(SUITE)'

bench: $(VENV)/.dev ## measure deploys, proxies and the chat page next to others; an hour on a quiet machine (bench/README.md)
	@lab/machine.sh --browser --bench
	@$(BIN)/python -m bench

clean: ## stop the lab and remove what was created in this directory; the cache outside it stays
	@failed=; for lab in .lab .lab-*; do \
	  test -d "$$lab" -a -x $(BIN)/python || continue; \
	  if [ "$$lab" = .lab ]; then $(BIN)/python -m lab down; else $(BIN)/python -m lab --guest "$${lab#.lab-}" down; fi || failed=1; \
	done; test -z "$$failed"
	@rm -rf $(VENV) .lab .lab-* .mypy_cache .ruff_cache .pytest_cache .hypothesis
