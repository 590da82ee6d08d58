# Landscope's commands; `make` alone lists them. Written for GNU Make 3.81 (macOS) and later.

VENV   := .venv
PY     := $(VENV)/bin/python
PIP    := $(PY) -m pip install --disable-pip-version-check --no-compile

# To overrule: make demo NAME=digits; make setup TORCH=cuda; make setup PYTHON=/opt/python3.12/bin/python3
NAME   ?=
TORCH  ?= $(shell nvidia-smi -L >/dev/null 2>&1 && echo cuda || echo cpu)
PYTHON ?= python3 python3.13 python3.12 python3.11 python3.14 python

# Over all cores and one process more, as tests wait for pages, children and clocks; files in the order of
# tests/conftest.py: the long ones first
SPREAD := -n $(shell expr `getconf _NPROCESSORS_ONLN` + 1) --dist loadfile --no-loadscope-reorder

CPU_INDEX ?= https://download.pytorch.org/whl/cpu

# Packages are installed uncompiled: the first process compiles what it imports, once for all that come after it. Where
# the environment forbids keeping the result, every process would compile torch's modules anew, for some ten seconds.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test setup lint types contracts unit browser packaging screenshots clean torch chrome

help: ## List these commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

demo: $(VENV)/.runtime ## Train a recipe and open its live page (NAME=digits chooses one)
	$(VENV)/bin/landscope demo $(NAME)

# Types take one processor for most of a minute. Meanwhile another checks the rest, and compiles what tests import.
test: setup ## Set up everything, then check and test everything
	@$(MAKE) --no-print-directory types & types=$$!; \
	$(MAKE) --no-print-directory lint contracts; others=$$?; \
	$(PY) -m pytest --collect-only -qq >/dev/null; \
	wait $$types && exit $$others
	$(PY) -m pytest $(SPREAD) -m "not alone"
	$(PY) -m pytest tests/browser -m alone

setup: $(VENV)/.dev chrome ## Install Landscope, its development tools and a browser for the tests

lint: $(VENV)/.dev ## Check style and formatting (ruff)
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check

types: $(VENV)/.dev ## Check types (mypy, strict)
	$(VENV)/bin/mypy

contracts: $(VENV)/.dev ## Check which package may import which (import-linter)
	$(VENV)/bin/lint-imports

unit: $(VENV)/.dev ## Test without a browser and without building the wheel
	$(PY) -m pytest $(SPREAD) -m "not browser and not packaging"

browser: setup ## Test the page in a real browser
	$(PY) -m pytest tests/browser $(SPREAD) -m "not alone"
	$(PY) -m pytest tests/browser -m alone

packaging: $(VENV)/.dev ## Test the wheel in an empty environment, and the Dockerfile
	$(PY) -m pytest -m packaging

screenshots: setup ## Take pictures of every page over runs/, into test-results/screenshots
	$(PY) -m tests.browser.screenshots

clean: ## Remove what tools left behind (keeps .venv and runs)
	rm -rf build dist test-results .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find app core tests benchmarks examples -name __pycache__ -type d -prune -exec rm -rf {} +

# ---- set-up: each stamp is renewed when what it was made from changes ----

$(VENV)/.runtime: pyproject.toml constraints.txt | $(VENV)/bin/pip
	@$(MAKE) --no-print-directory torch
	@echo "installing Landscope and what it needs (a minute or more)"
	@$(PIP) --quiet -c constraints.txt -e .
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(VENV)/bin/pip
	@$(MAKE) --no-print-directory torch
	@echo "installing Landscope, what it needs and its development tools (a minute or more)"
	@$(PIP) --quiet -c constraints.txt -e '.[dev]'
	@touch $@ $(VENV)/.runtime

# The first Python that will do. A distribution may ship python3 without venv, so that is tried too.
$(VENV)/bin/pip:
	@incomplete=; for python in $(PYTHON); do \
	    "$$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' 2>/dev/null || continue; \
	    "$$python" -c 'import ensurepip, venv' 2>/dev/null || { incomplete=$$python; continue; }; \
	    echo "$(VENV): $$("$$python" --version), $$(command -v "$$python")"; \
	    "$$python" -m venv --clear $(VENV); exit; \
	done; \
	if [ "$$incomplete" ]; then \
	    echo "error: $$incomplete lacks the venv module. On Debian or Ubuntu: apt-get install python3-venv"; \
	else \
	    echo "error: Landscope needs Python 3.11 to 3.14; none found among: $(PYTHON)."; \
	    echo "Install one, or name it: make setup PYTHON=/path/to/python3"; \
	fi >&2; exit 1

# Linux gets CUDA's build from the ordinary index, several gigabytes of it, unless the CPU's is asked for by name. Alone,
# so that no other package is looked for in torch's index, which may be out of reach.
torch: VERSION = $(shell sed -n 's/^torch==//p' constraints.txt)
torch: | $(VENV)/bin/pip
	@echo "torch $(VERSION): $(TORCH) build (nvidia-smi decides; TORCH=cpu or TORCH=cuda overrules)"
ifeq ($(shell uname),Linux)
	@case $(TORCH) in \
	cuda) $(PIP) -c constraints.txt torch==$(VERSION) ;; \
	cpu)  $(PIP) --no-deps torch==$(VERSION)+cpu \
	          --extra-index-url $(CPU_INDEX) --retries 1 --timeout 15 || { \
	      echo "error: torch's CPU build is not to be had from $(CPU_INDEX), nor from pip's own sources."; \
	      echo "Name a mirror with CPU_INDEX=URL, or take the CUDA build (several GB) with TORCH=cuda."; exit 1; } >&2 ;; \
	*)    echo "error: TORCH must be cpu or cuda, got $(TORCH)" >&2; exit 1 ;; \
	esac
else
	@$(PIP) -c constraints.txt torch==$(VERSION)
endif

chrome: $(VENV)/.dev
	@$(PY) -c 'import sys; from tests.browser.chromium import executable; sys.exit(not executable())' && exit; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    echo "no Chrome or Chromium found: installing the distribution's"; \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
	        apt-get -o DPkg::Lock::Timeout=300 install -qq -y --no-install-recommends chromium fonts-liberation >/dev/null && exit; \
	fi; \
	echo "no Chrome or Chromium found: fetching the one that Playwright provides"; \
	$(PY) -m playwright install chromium || { \
	    echo "error: no browser for the tests. Install Chromium or Chrome (Debian: apt-get install chromium)." >&2; exit 1; }
