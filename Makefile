# `make help` lists what there is. Nothing here needs root except the installation of missing Debian packages
# and the lab's build, which use sudo and say so.
SHELL := /bin/bash
# A pipeline fails when any part of it does.
.SHELLFLAGS := -o pipefail -ec
.DEFAULT_GOAL := help
.PHONY: help setup machine machine-to-run demo test test-proxy test-proxy-long test-scenarios test-faults test-places test-arm64 test-unproven check unit verify deploy drift rollback backup restore uninstall sources lab-up lab-down lab-build clean

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INVENTORY ?= inventory/pi.py
TO ?= backups
WITH_MODELS ?= 0
MODELS ?= keep
GO_ON ?= 0
IMAGES ?= auto

help: ## this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

NEW_ENOUGH := -c 'import sys; sys.exit(sys.version_info < (3, 11))'

# --no-compile: Python compiles what is used when it is used; compiling all of it beforehand takes a third of the time.
$(VENV)/.deploy: requirements.txt
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) is missing: sudo apt-get install python3 python3-venv"; exit 1; }
	@$(PYTHON) $(NEW_ENOUGH) || { echo "Hearth needs Python 3.11 or later, and $(PYTHON) is $$($(PYTHON) --version). With another one: make setup PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { echo "python3-venv is missing: sudo apt-get install python3-venv"; exit 1; }
	@echo "Installing the Python packages into $(VENV) …"
	@$(BIN)/python $(NEW_ENOUGH) 2>/dev/null || $(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/pip install --quiet --no-compile --disable-pip-version-check --require-hashes -r requirements.txt
	@touch $@

$(VENV)/.verify: requirements-verify.txt $(VENV)/.deploy
	@echo "Installing the packages for the acceptance tests into $(VENV) …"
	@$(BIN)/pip install --quiet --no-compile --disable-pip-version-check --require-hashes -r requirements-verify.txt
	@touch $@

$(VENV)/.dev: requirements-dev.txt $(VENV)/.deploy
	@echo "Installing the packages for lab and tests into $(VENV) …"
	@$(BIN)/pip install --quiet --no-compile --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

setup: $(VENV)/.deploy ## Python packages for deploying, into .venv; verify, check and the tests add theirs when they first run

machine-to-run:
	@lab/machine.sh --without-build

machine: ## Debian packages that the lab needs (QEMU, mmdebstrap, buildah, Chromium), with apt
	@lab/machine.sh --browser

demo: machine-to-run $(VENV)/.dev ## deploy to a fresh virtual machine, ask a question, print the page's address; IMAGES=hub, built or auto
	@$(BIN)/python -m tests.run demo --images '$(IMAGES)'

test: machine $(VENV)/.dev ## checks, unit tests, a deploy to the lab, acceptance and browser tests
	@$(BIN)/python -m tests.run test

test-proxy: machine $(VENV)/.dev ## the real httpd in front of the real Ollama on this machine's loopback, without the virtual machine
	@$(BIN)/python -m tests.run proxy

test-proxy-long: machine $(VENV)/.dev ## a stuck Ollama with the shipped patience, and half an hour of what is only slow (an hour in all)
	@$(BIN)/python -m tests.run proxy-long

test-scenarios: machine $(VENV)/.dev ## what takes longer: drift, faults and their repair, reloads, reboot (in the lab)
	@$(BIN)/python -m tests.run scenarios

test-faults: machine $(VENV)/.dev ## the scenarios that take hours in all: faults, access, TLS, long streams; GO_ON=1 leaves out what passed
	@GO_ON=$(GO_ON) $(BIN)/python -m tests.run faults

test-places: machine $(VENV)/.dev ## other machines than the lab's usual one: Debian 12 with Docker's own packages
	@$(BIN)/python -m tests.run places

test-arm64: $(VENV)/.dev ## the processor of a Pi, emulated: a deploy to a Debian arm64 guest, with images cross-built here (over an hour at first)
	@lab/machine.sh --arm64
	@$(BIN)/python -m tests.run arm64

test-unproven: machine $(VENV)/.dev ## scenarios that were not yet seen passing; CI does not run them
	@$(BIN)/python -m tests.run unproven

check: $(VENV)/.dev ## ruff, strict mypy, shellcheck, shfmt, typos, oxlint, actionlint, commit subjects
	@$(BIN)/python -m tests.run check

unit: $(VENV)/.dev ## tests that need no host
	@$(BIN)/python -m tests.run unit

deploy: $(VENV)/.deploy ## deploy to INVENTORY (default inventory/pi.py); asks before it changes anything
	@$(BIN)/pyinfra $(INVENTORY) deploy.py

drift: $(VENV)/.deploy ## say what differs on the hosts of INVENTORY from the settings, and change nothing; fails if anything does
	@$(BIN)/python -m hearth.drift $(INVENTORY)

rollback: $(VENV)/.deploy ## put back the release that served before, on the hosts of INVENTORY
	@$(BIN)/pyinfra $(INVENTORY) deploys/rollback.py

backup: $(VENV)/.deploy ## back up the hosts of INVENTORY to TO (default backups); WITH_MODELS=1 takes the models' data, too
	@$(BIN)/pyinfra -y $(INVENTORY) deploys/backup.py --data 'x_backup_to=$(TO)' --data 'x_backup_models=$(WITH_MODELS)'

restore: $(VENV)/.deploy ## put the backup FROM (a file, or a directory with one for each host) onto the hosts of INVENTORY
	@$(BIN)/pyinfra $(INVENTORY) deploys/restore.py --data 'x_restore_from=$(FROM)'

uninstall: $(VENV)/.deploy ## take Hearth off the hosts of INVENTORY; models stay, unless MODELS=delete
	@$(BIN)/pyinfra $(INVENTORY) deploys/uninstall.py --data 'x_uninstall_models=$(MODELS)'

verify: $(VENV)/.verify ## look at the hosts of INVENTORY from outside and inside, and change nothing
	@$(BIN)/pytest -p no:cacheprovider tests/acceptance --inventory $(INVENTORY)

sources: machine $(VENV)/.dev ## ask whether all that the lab fetches can be had today, without building anything
	@$(BIN)/python -m lab sources

lab-build: machine $(VENV)/.dev ## build the lab's guest, images and models into the cache
	@$(BIN)/python -m lab build

lab-up: machine $(VENV)/.dev ## start the lab's virtual machine and registries
	@$(BIN)/python -m lab up

lab-down: ## stop them
	@test ! -x $(BIN)/python || $(BIN)/python -m lab down
	@failed=; for lab in .lab-*; do test ! -d "$$lab" -o ! -x $(BIN)/python || $(BIN)/python -m lab --guest "$${lab#.lab-}" down || failed=1; done; test -z "$$failed"

clean: lab-down ## stop the lab and remove what was made in this directory (the cache outside stays)
	@rm -rf $(VENV) .lab .lab-* .mypy_cache .ruff_cache .pytest_cache .hypothesis
