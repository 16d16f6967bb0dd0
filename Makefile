# The only interface for people and CI. Every target prepares what it needs by itself (scripts/set_up.py); there is none to call first.
# Recipes use /bin/sh, Python and what they installed themselves: they must run on a machine that has only Python, make, git and coreutils.

PYTHON ?= $(or $(shell command -v python3.11 2>/dev/null),$(shell command -v python3.12 2>/dev/null),python3.11)
BIN := $(CURDIR)/.venv/bin
SET_UP := @$(PYTHON) scripts/set_up.py

PARACHAIN_KIND ?= embedded
ENGINE ?= embedded
SEED ?= 1
MINUTES ?= 10
# Further arguments for pytest, for example: make test-fast PYTEST_ARGS="tests/unit/crypto -x"
PYTEST_ARGS ?=

export PATH := $(BIN):$(PATH)
# eth-hash: the C implementation of Keccak, not the first that happens to be installed.
export ETH_HASH_BACKEND := pysha3

# `make -j check test` would mix their output, and CI must end in the summary of the tests.
.NOTPARALLEL:
.DEFAULT_GOAL := help
.PHONY: help demo test forge-test forge-test-both test-fast check bench soak simulate lock fmt cometbft bare-machine clean

help: ## list the targets
	@$(PYTHON) scripts/make_help.py Makefile

demo: ## tokens move between chains, live (PARACHAIN_KIND=anvil: on real EVM nodes; ENGINE=cometbft: on real CometBFT)
	$(SET_UP) $(if $(filter cometbft,$(ENGINE)),cometbft,$(if $(filter anvil,$(PARACHAIN_KIND)),dev,runtime))
	@$(BIN)/piebridge demo --parachain-kind $(PARACHAIN_KIND) --engine $(ENGINE)

test: ## everything: Solidity tests, then all Python tests with real chains (builds CometBFT once)
	$(SET_UP) test
	@$(MAKE) --no-print-directory forge-test-both
	@$(BIN)/python -m pytest -n 2 --dist loadfile $(PYTEST_ARGS)

# Folder by folder: compiled all in one go, the optimiser takes some functions beyond the depth of the EVM's stack.
forge-test: ## the Solidity tests for one EVM version (FOUNDRY_PROFILE=london for the other)
	$(SET_UP) dev
	cd contracts && for folder in src test/crypto test/apps test/hub test/vectors test/management; do $(BIN)/forge build $$folder || exit 1; done
	cd contracts && $(BIN)/forge test

# The compiler uses one processor, so both EVM versions are compiled at once; what london says is shown afterwards.
forge-test-both: ## the Solidity tests for both EVM versions at once
	@FOUNDRY_PROFILE=london $(MAKE) --no-print-directory forge-test > .cache/forge-london.log 2>&1 & london=$$!; \
	$(MAKE) --no-print-directory forge-test; cancun=$$?; \
	wait $$london; london=$$?; cat .cache/forge-london.log; exit $$((cancun | london))

test-fast: ## under 2 minutes: no real chain, nothing slow
	$(SET_UP) dev
	@$(BIN)/python -m pytest -n 2 -m "not real_chain and not slow" $(PYTEST_ARGS)

check: ## format, lint, types, package layers, contract artifacts against their sources
	$(SET_UP) dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell
	cd contracts && $(BIN)/forge fmt --check
	cd contracts && $(BIN)/forge lint
	$(BIN)/python contracts/build.py $(if $(filter true,$(CI)),--recompile-check,--check)

bench: ## measure; writes bench/results/*.json and pictures, which git tracks (BENCH=name runs one, BENCH_ARGS="--engine cometbft --runs 5")
	$(SET_UP) dev
	@PYTHONPATH=tests $(BIN)/python -m bench $(BENCH) $(BENCH_ARGS)

soak: ## long campaigns, resumable: make soak SEED=7 MINUTES=60; adds a line to soak/ledger.jsonl, which git tracks
	$(SET_UP) soak
	@PYTHONPATH=tests $(BIN)/python -m soak --seed $(SEED) --minutes $(MINUTES) \
	  $(if $(CAMPAIGN),--campaign $(CAMPAIGN)) $(if $(ROUND_SEED),--round-seed $(ROUND_SEED))

simulate: ## run one simulation of a whole domain again and show what it finds: make simulate SEED=17
	$(SET_UP) dev
	@PYTHONPATH=tests $(BIN)/python -m testkit.simulation $(SEED)

lock: ## renew the pins after a change of dependencies (UPGRADE=1: to the newest that fit)
	@test -x $(BIN)/uv || $(PYTHON) scripts/set_up.py dev   # not always: a lock that no longer fits must not stop its own renewal
	@$(BIN)/python scripts/lock.py $(if $(UPGRADE),--upgrade)

fmt: ## format everything in place
	$(SET_UP) dev
	$(BIN)/ruff check --fix --quiet .
	$(BIN)/ruff format .
	cd contracts && $(BIN)/forge fmt

cometbft: ## build CometBFT from its Go module (1 to 4 minutes once, then cached)
	$(SET_UP) cometbft

bare-machine: ## run TARGET (demo, test-fast ...) in a fresh clone with an empty environment: make bare-machine TARGET=demo
	@$(PYTHON) scripts/bare_machine.py $(or $(TARGET),test-fast)

clean: ## end the network of ./piebridge-network, then delete everything that set-up and runs have made in this folder
	@if test -d piebridge-network && test -x $(BIN)/piebridge; then $(BIN)/piebridge network down --delete; rmdir piebridge-network || true; fi
	@if test -d piebridge-network; then echo "piebridge-network/ stays: it holds what is no part of a network, or there is no piebridge to end it with"; fi
	rm -rf .venv .cache node_modules build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache \
	  contracts/out contracts/cache
