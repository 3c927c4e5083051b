# Everything a person can do here. Each target sets up first what it needs, in .venv.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check
BASE   := $(VENV)/.base
READY  := $(VENV)/.ready
TYPES  := $(VENV)/types.txt
PYTEST := $(BIN)/pytest -n auto --dist worksteal
# What some tests need besides Python, by the names of Debian and Ubuntu.
PROGRAMS ?= chromium fonts-liberation nginx-light npm

# A shell that forbids the cache of compiled modules would have each of the hundreds of processes here compile all anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup programs demo demo-serve lint style types test test-all docs docs-version compat bench bench-small bench-peers wheel clean

help:            ## this list
	@grep -E '^[a-z-]+: *.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## */  make \1\t/' | expand -t 24

$(BASE): pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "no $(PYTHON) here: install Python 3.11 or newer, or say make PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$(PYTHON) is older than 3.11: say make PYTHON=/path/to/a/newer/python3"; exit 1; }
	@echo "set-up: a Python environment in $(VENV) (some seconds)"
	@$(PYTHON) -m venv $(VENV)
	@echo "set-up: oncefold and the packages it runs on, by pip (about 200 MB to download; half a minute)"
	@$(PIP) -e '.[serve,compile]'
	@echo "set-up: the kernels, compiled (two or three minutes)"
	@$(BIN)/python -m oncefold.kernels.build
	@touch $(BASE)

$(READY): $(BASE) packages/oncefold-lab/pyproject.toml packages/oncefold-workshop/pyproject.toml
	@echo "set-up: what the tests, linters and type checks need, by pip (about 250 MB to download; a minute)"
	@$(PIP) -e '.[dev]' -e packages/oncefold-lab -e packages/oncefold-workshop
	@if command -v npm >/dev/null && [ "$$(uname -sm)" = "Linux x86_64" ]; then \
	    echo "set-up: dynoxide, one more DynamoDB to test with, by npm (some seconds)"; \
	    mkdir -p $(VENV)/node; \
	    npm install --prefix $(VENV)/node --no-save --no-fund --no-audit --loglevel=error @dynoxide/linux-x64@1.2.1; \
	fi
	@touch $(READY)

setup: $(READY)  ## set up everything for work on this repository

programs:        ## install the programs that some tests need: a browser, nginx, npm for dynoxide (apt-get, as root)
	@command -v apt-get >/dev/null || { echo "no apt-get here: install $(PROGRAMS) in this system's own way"; exit 1; }
	$(if $(filter-out 0,$(shell id -u)),sudo )apt-get update -qq
	$(if $(filter-out 0,$(shell id -u)),sudo )env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(PROGRAMS)
	@rm -f $(READY)

demo: $(BASE)    ## the real COVID-19 series, shuffled, duplicated, killed half-way: totals equal the publisher's, and a dashboard shows them
	$(BIN)/python examples/covid19/demo.py

demo-serve: $(BASE)  ## the same, and then the dashboard on its totals until Ctrl-C
	$(BIN)/python examples/covid19/demo.py --stay

lint: style types  ## ruff, mypy and the layers of the code

style: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo

types: $(READY)
	$(BIN)/mypy

# Types are checked while the tests run; their result is shown below that of the tests.
define check
	@$(BIN)/mypy >$(TYPES) 2>&1 & types=$$!; \
	echo "$(1)"; $(1); tests=$$?; \
	wait $$types; types=$$?; \
	echo "$(BIN)/mypy"; cat $(TYPES); \
	exit $$((tests ? tests : types))
endef

test: style      ## lint, types and all tests; what is long by nature in its short form (minutes)
	$(call check,$(PYTEST))

test-all: style docs  ## the same with every test in its full form, and the documentation (a quarter of an hour)
	$(call check,$(PYTEST) --full)

$(VENV)/.docs: pyproject.toml $(READY)
	@echo "set-up: what the documentation needs, by pip (about 20 MB to download; some seconds)"
	@$(PIP) -e '.[docs]'
	@touch $@

docs: $(VENV)/.docs  ## the guides and the reference of the Python interface as one site, in site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict --clean
	@echo "site/index.html is the documentation"

docs-version: $(VENV)/.docs  ## commit the site to the branch gh-pages as the one of VERSION=..., and as the latest
	@test -n "$(VERSION)" || { echo "say which: make docs-version VERSION=0.1"; exit 1; }
	NO_MKDOCS_2_WARNING=1 PATH=$(CURDIR)/$(BIN):$$PATH $(BIN)/mike deploy --update-aliases $(VERSION) latest

compat: $(READY) ## the tests on the lowest and the newest dependencies that pyproject.toml allows, in .venv-compat (minutes)
	UV=$(BIN)/uv COMPAT_PYTHON=$(PYTHON) .ci/compat $(COMPAT)

bench: $(READY)  ## the engine's benchmark, large (by hand; minutes)
	$(BIN)/python -m bench

bench-small: $(READY)  ## the same, small
	$(BIN)/python -m bench --small

bench-peers: $(READY)  ## the honest peers on the same input, in an environment of their own
	bench/peers/run.sh

wheel: $(READY)  ## the wheel of the product, with its compiled kernels, in dist (some minutes)
	$(BIN)/uv build --wheel --out-dir dist

clean:           ## remove what was set up and built
	rm -rf $(VENV) .venv-compat .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist site
