# What a person needs: `make run`, then `make test`. Python 3.11 or later and make are enough.
# .ci/run does exactly `make check`.

SHELL := /bin/sh
BIN := .venv/bin
WORKERS ?= 2

.DEFAULT_GOAL := help
.PHONY: help run test lint check long chaos chaos-nightly bench lock format texts audit clean dev venv

help:
	@echo "make run     install if needed and start everything with a sandbox store and CRM"
	@echo "make test    unit, contract, integration and end-to-end tests, with real PostgreSQL and Valkey"
	@echo "make lint    ruff, mypy, import contracts, YAML and shell syntax"
	@echo "make check   what CI runs: lint, test, then the longer suites (tests/chaos, tests/real)"
	@echo "make chaos   the chaos suite alone, with its table (make chaos-nightly: the large figures)"
	@echo "make bench   the benchmarks"
	@echo "make format  tidy the source             make lock    pin versions and hashes anew"
	@echo "make texts   collect the sentences of the pages for translators"
	@echo "make audit   look for known vulnerabilities in what is pinned"
	@echo "make clean   remove .venv and all caches"

# ---- the environment -------------------------------------------------------------------------------------------------

# The first Python from 3.11 on that can make virtual environments; some systems package `venv` apart from Python.
venv:
	@if ! $(BIN)/python -m pip --version >/dev/null 2>&1; then \
	  for python in $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11; do \
	    if $$python -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then \
	      echo "Making .venv with $$python ($$($$python --version))"; \
	      rm -rf .venv && $$python -m venv .venv && exit 0; \
	    fi; \
	  done; \
	  echo "No Python 3.11 or later that can make a virtual environment was found."; \
	  echo "What to do: install Python 3.11+ (on Debian: python3 and python3-venv), or name one: make PYTHON=/path/to/python3"; \
	  exit 1; \
	fi

# A copy of the lock inside .venv says what is installed there: pip is asked only when the lock has changed.
define install
	@if ! cmp -s $(1) .venv/$(1); then \
	  echo "Installing $(1) into .venv (only when it has changed)"; \
	  rm -f .venv/$(1); \
	  $(BIN)/python -m pip install -qq --no-input --disable-pip-version-check --root-user-action=ignore \
	    --no-compile --no-deps --require-hashes -r $(1) && cp $(1) .venv/$(1); \
	fi
endef

.venv/.run: venv
	$(call install,requirements.lock)
.PHONY: .venv/.run

# The development lock holds everything of requirements.lock, in the same versions.
dev: venv
	$(call install,requirements-dev.lock)

# ---- what people do --------------------------------------------------------------------------------------------------

run: .venv/.run
	@$(BIN)/python cli.py demo

PYTEST := $(BIN)/python -m pytest -q
ifndef ORDERWIRE_SEED
export ORDERWIRE_SEED := $(shell od -An -N4 -tu4 /dev/urandom | tr -d ' ')
endif
SUITES := $(wildcard tests/unit tests/contract tests/integration tests/e2e)

# The few that failed are asked once more, alone, and named (docs/decisions/0017). 1: tests failed, nothing worse.
test: dev
	@failed=$$(mktemp); status=0; \
	ORDERWIRE_TEST_FAILED=$$failed $(PYTEST) -n $(WORKERS) --dist worksteal $(SUITES) || status=$$?; \
	if [ $$status -eq 1 ] && [ -s $$failed ]; then \
	  echo "What failed is asked once more, alone:"; status=0; \
	  ORDERWIRE_TEST_ALONE=1 $(PYTEST) -n 0 @$$failed || status=$$?; \
	fi; rm -f $$failed; exit $$status

lint: dev
	@$(BIN)/ruff check --output-format=concise .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/yamllint --strict -d '{extends: default, rules: {line-length: {max: 120}, document-start: disable}}' \
	  deploy .pre-commit-config.yaml
	@bash -n .ci/run
	@if command -v php >/dev/null; then \
	  php -l deploy/woocommerce/orderwire-rep-card.php >/dev/null && php tests/unit/woocommerce_plugin.php; \
	else echo "No PHP here: the WooCommerce plugin was not checked. What to do: install php-cli."; fi

# One after the other even under `make -j` (servers and browsers share the machine), and all of them even when one fails.
check:
	@failed=; \
	for part in lint test long; do $(MAKE) --no-print-directory $$part || failed="$$failed $$part"; done; \
	if [ -n "$$failed" ]; then echo "check: failed in$$failed"; exit 1; fi

long: dev
	@ORDERWIRE_LIVES=100 $(PYTEST) -n $(WORKERS) --dist worksteal $(wildcard tests/chaos tests/real) \
	  tests/integration/pipeline/test_order_life.py

chaos: dev
	@$(PYTEST) -n $(WORKERS) --dist worksteal tests/chaos

# The larger figures of the matrix: hours, not minutes.
chaos-nightly: dev
	@ORDERWIRE_CHAOS=nightly $(BIN)/python -m pytest -q --timeout 7200 tests/chaos

bench: dev
	@for benchmark in benchmarks/bench_*.py; do PYTHONPATH=. $(BIN)/python $$benchmark || exit 1; done

# ---- upkeep ----------------------------------------------------------------------------------------------------------

COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-header --no-annotate $(UPGRADE)

# Keeps pinned versions where they still fit; `make lock UPGRADE=--upgrade` takes the newest.
lock: dev
	@$(COMPILE) requirements.in -o requirements.lock
	@$(COMPILE) --constraint requirements.lock requirements-dev.in -o requirements-dev.lock

format: dev
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

# The sentences of the pages, for translators; web/locales/README.md says how a language is added.
texts: dev
	@$(BIN)/pybabel -q extract -F babel.cfg -k translated:2 --project Orderwire --omit-header --sort-by-file \
	  --no-location -o web/locales/orderwire.pot .

audit: dev
	@$(BIN)/python .ci/audit.py

clean:
	@rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache test-artefacts
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
