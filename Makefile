# Every target works from a fresh clone with nothing but Python 3.11 or later, pip and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

NPM := examples/bank/storefront tests/e2e

.PHONY: demo test test-all e2e npm lint format bench wheel clean

demo: $(VENV)/.demo  ## run a small bank with seeded customers and show what PostHog gets
	$(BIN)/zentra-otel-posthog demo

test: $(VENV)/.dev  ## the default suite, under three minutes
	$(BIN)/python -m pytest -n 2

test-all: $(VENV)/.dev npm  ## the default suite and the long tests, those of ``e2e`` among them
	$(BIN)/python -m pytest -n 2 -m ''

e2e: $(VENV)/.dev npm  ## the storefront, the inspector and PostHog's SDKs; needs Chromium and npm, and skips what it lacks
	$(BIN)/python -m pytest -n 2 -m '' tests/e2e

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.bench  ## ratios against the hand-written span, the official client and others, to benchmarks/RESULTS.md
	$(BIN)/python -m benchmarks

wheel: $(VENV)/.dev
	rm -rf dist
	$(BIN)/python -m build --outdir dist .

clean:
	rm -rf $(VENV) $(NPM:=/node_modules) dist .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(VENV)/.demo $(VENV)/.dev $(VENV)/.bench: $(VENV)/.%: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or later is needed: make PYTHON=python3.11")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[$*]'
	touch $@

npm: $(NPM:=/node_modules)

$(NPM:=/node_modules): %/node_modules: %/package.json
	@if command -v npm > /dev/null; then npm install --silent --ignore-scripts --no-audit --no-fund --prefix $* && touch $@; \
	else echo "There is no npm: tests that need the packages of $*/package.json are skipped."; fi
