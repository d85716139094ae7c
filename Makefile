# Two commands do everything, set-up included:  make demo  and  make test;  make install  is the set-up alone.
# A second run starts at once: set-up is done again only when what is pinned changed, or was cut short.
# Written for every GNU make since 3.81, which is what macOS has.

VENV := .venv
BIN := $(VENV)/bin
# The first of these that is new enough; one that was named (PYTHON=FILE) is the only one.
PYTHONS := python3 python3.13 python3.12 python3.11 python3.14
CODE := src tests $(wildcard tools/*.py)
HOUSE := architecture house documents examples extending troubleshooting packaging set_up
# Three processes of tests, also on two cores: a third of their time they wait. Which tests are slow:
# make test MORE=--durations=40
JOBS := 3
MORE :=
APT_INSTALL := DEBIAN_FRONTEND=noninteractive apt-get install -y -qq
# What Python compiled is kept, whatever this machine usually wants: without it each process compiles all tests anew.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: install demo test check docs pictures requirements format clean browser set-up-run set-up-dev

install: set-up-run
	@echo "sususbot is set up. Next:  source $(BIN)/activate  once a terminal, then  sususbot init"

demo: set-up-run
	@$(BIN)/sususbot demo

test: set-up-dev browser
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder $(MORE)

# Format, lint, types, then what holds the house together: layers, documents with their links and examples, packaging.
check: set-up-dev
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/ruff check $(CODE)
	$(BIN)/mypy
	$(BIN)/mypy --platform win32 --cache-dir .mypy_cache/windows src
	$(BIN)/python -m pytest $(wildcard $(HOUSE:%=tests/test_%.py))

# What is made from the program: commands, settings, .env.example, licences.
docs: set-up-dev
	$(BIN)/python tools/reference.py
	$(BIN)/python tools/licences.py

# The pages as the documents show them, where they look different by now.
pictures: set-up-dev browser
	SUSUSBOT_PICTURES=1 $(BIN)/python -m pytest tests/web/test_pictures.py

# What is pinned, made from pyproject.toml; with UPGRADE=1 the newest of everything.
requirements: set-up-dev
	@$(BIN)/python -m pip install --quiet uv
	$(BIN)/python tools/requirements.py $(if $(UPGRADE),--upgrade)
	@$(MAKE) set-up-dev docs

format: set-up-dev
	$(BIN)/ruff check --fix $(CODE)
	$(BIN)/ruff format $(CODE)

clean:
	rm -rf $(VENV) $(VENV).old build dist .mypy_cache .pytest_cache .ruff_cache

# Pages are tested in a real browser: Debian's is installed where that is allowed, the one without windows where there is
# one, which takes two thirds of the time. Without a browser those tests skip.
browser:
	@command -v chromium-headless-shell >/dev/null || { \
		[ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && \
		echo "installing chromium, in which the pages are tested (once)" >&2 && apt-get update -qq && \
		{ $(APT_INSTALL) chromium-headless-shell || $(APT_INSTALL) chromium; } >/dev/null 2>&1; } || \
		command -v chromium >/dev/null || command -v google-chrome >/dev/null || \
		echo "no chromium: the tests of pages will be skipped (Debian: apt install chromium-headless-shell)" >&2

# What is named on make's command line is in the environment, so a path may have any letters in it.
set-up-run set-up-dev:
	@if [ -n "$$PYTHON" ]; then set -- "$$PYTHON"; named=--named; else set -- $(PYTHONS); named=; fi; \
	for python; do \
		if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
			exec "$$python" tools/environment.py $(@:set-up-%=%) $$named; fi; done; \
	if [ -n "$$named" ] && ! "$$PYTHON" -c '' 2>/dev/null; then \
		echo "PYTHON=$$PYTHON is no Python that runs: name another, or leave it out" >&2; exit 1; fi; \
	echo "sususbot needs Python 3.11 or newer: install it, or say which one with  make PYTHON=python3.12 demo" >&2; exit 1
