# Two commands do everything, set-up included:  make demo  and  make test
# A second run starts at once: set-up is done again only when pyproject.toml changed.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: demo test browser check format docs clean

demo: $(VENV)/.demo
	@$(BIN)/sususbot demo

test: $(VENV)/.dev browser
	$(BIN)/python -m pytest -n 2 --dist worksteal

# Pages are tested in a real browser. Debian's is installed where that is allowed; without one those tests skip.
browser:
	@command -v chromium >/dev/null || command -v google-chrome >/dev/null || { \
		[ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && \
		echo "installing chromium, in which the pages are tested (once)" >&2 && \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null; } || \
		echo "no chromium: the tests of pages will be skipped (Debian: apt install chromium)" >&2

check: $(VENV)/.dev
	$(BIN)/ruff format --check src tests
	$(BIN)/ruff check src tests
	$(BIN)/mypy
	$(BIN)/python -m pytest tests/test_architecture.py

format: $(VENV)/.dev
	$(BIN)/ruff check --fix src tests
	$(BIN)/ruff format src tests

# Documents that are made from the program; tests say so when one is not fresh.
docs: $(VENV)/.dev
	$(BIN)/python tools/reference.py

clean:
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "sususbot needs Python 3.11 or newer: install it, or say which one with  make PYTHON=python3.12 demo" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
		{ echo "no virtual environment could be made: install Python's venv module (Debian: apt install python3-venv)" >&2; exit 1; }

# torch first, in the version that has a CPU build at hand: what is installed after it finds it and is content.
$(VENV)/.demo: pyproject.toml | $(BIN)/python
	@echo "installing sususbot into $(VENV) (once, some minutes)" >&2
	@$(PIP) torch==2.13.0
	@$(PIP) --editable '.[analyze,embed,eval,offline,tokens,train,web]'
	@touch $@

$(VENV)/.dev: pyproject.toml | $(BIN)/python
	@echo "installing sususbot and its tests' tools into $(VENV) (once, some minutes)" >&2
	@$(PIP) torch==2.13.0
	@$(PIP) --editable '.[dev]'
	@touch $@ $(VENV)/.demo
