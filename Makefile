# Everything a person can do here. `make demo` and `make test` set up what they need first.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.PHONY: help demo demo-serve test lint check docs compat bench bench-small bench-peers clean

help:            ## this list
	@grep -E '^[a-z-]+: *.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## */  make \1\t/' | expand -t 24

$(READY): pyproject.toml packages/oncefold-lab/pyproject.toml packages/oncefold-workshop/pyproject.toml Makefile
	@command -v $(PYTHON) >/dev/null || { echo "no $(PYTHON) here: install Python 3.11 or newer, or say make PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$(PYTHON) is older than 3.11: say make PYTHON=/path/to/a/newer/python3"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]' -e packages/oncefold-lab -e packages/oncefold-workshop
	@$(BIN)/python -c 'from oncefold.engine.warmup import warm_up; warm_up(lambda words: print("kernels:", words, flush=True))'
	@if command -v npm >/dev/null && [ "$$(uname -sm)" = "Linux x86_64" ]; then \
	    mkdir -p $(VENV)/node; \
	    npm install --prefix $(VENV)/node --no-save --no-fund --no-audit --loglevel=error @dynoxide/linux-x64@1.2.1; \
	else echo "no dynoxide here (it needs npm, and Linux on x86-64): the AWS contract is tested without it"; fi
	@touch $(READY)

demo: $(READY)   ## the real COVID-19 series, shuffled, duplicated, killed half-way: totals equal the publisher's, and a dashboard shows them
	$(BIN)/python examples/covid19/demo.py

demo-serve: $(READY)  ## the same, and then the dashboard on its totals until Ctrl-C
	$(BIN)/python examples/covid19/demo.py --stay

lint: $(READY)   ## ruff, mypy and the layers of the code
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

test: lint       ## lint, types and every test
	$(BIN)/pytest -n auto

$(VENV)/.docs: pyproject.toml $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[docs]'
	@touch $@

docs: $(VENV)/.docs  ## the guides and the reference of the Python interface as one site, in site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict --clean
	@echo "site/index.html is the documentation"

compat: $(READY) ## the tests on the lowest and the newest dependencies that pyproject.toml allows, in .venv-compat (minutes)
	UV=$(BIN)/uv COMPAT_PYTHON=$(PYTHON) .ci/compat $(COMPAT)

bench: $(READY)  ## the engine's benchmark, large (by hand; minutes)
	$(BIN)/python -m bench

bench-small: $(READY)  ## the same, small
	$(BIN)/python -m bench --small

bench-peers: $(READY)  ## the honest peers on the same input, in an environment of their own
	bench/peers/run.sh

clean:           ## remove what was set up and built
	rm -rf $(VENV) .venv-compat .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist site
