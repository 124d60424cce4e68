# `make demo` plays a market day, `make test` runs the tests, and `make` alone runs lint, types and tests.
# Requires python3 (3.11 or newer, with venv) and make; everything else is installed from requirements.lock into .venv.
PYTHON ?= python3
BIN := .venv/bin
# Compiled bytecode cuts the start time to a quarter, so a machine-wide PYTHONDONTWRITEBYTECODE is lifted here.
unexport PYTHONDONTWRITEBYTECODE
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: all setup demo dist test test-browser test-install lint types format pictures bench bench-check faults faults-full lock clean
.DEFAULT_GOAL := all

all: lint types test

setup: .venv/ready

.venv/ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("sellctl needs Python 3.11 or newer, and $(PYTHON) is " + sys.version.split()[0] + "; try make PYTHON=python3.12" if sys.version_info < (3, 11) else 0)'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv || { echo 'python3 cannot make a virtual environment; on Debian: apt install python3-venv'; rm -rf .venv; exit 1; }
	@echo 'Setting up .venv from requirements.lock (about a minute, once) ...'
	@$(BIN)/python -m pip install -qq --require-hashes --requirement requirements.lock
	@$(BIN)/python -m pip install -qq --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m compileall -q sellctl
	@touch $@

demo: setup
	@$(BIN)/sellctl demo

test: setup
	@$(BIN)/python -m pytest --numprocesses 4 --dist worksteal  # more processes than cores, since many tests wait for a clock

# The control page in a headless Chromium (Debian: apt install chromium); skipped when there is none.
test-browser: setup
	@$(BIN)/python -m pytest -rs tests/api/test_api_browser.py

# Builds the wheel and the sdist into dist/. Two builds of one commit are equal: their files are dated by the commit, and
# outside a repository by the day that hatchling takes.
dist: setup
	@rm -rf dist
	@SOURCE_DATE_EPOCH=$${SOURCE_DATE_EPOCH:-$$(git log -1 --format=%ct 2>/dev/null || echo 1580601600)} $(BIN)/python -m hatchling build -d dist

# Installs the wheel with pip, uv and pipx for each of Python 3.11 to 3.14 that is on the path, and runs the demo; about
# half a minute for each. Needs the package index, so that `make test` leaves it out; PIP_NO_INDEX=1 with PIP_FIND_LINKS,
# and UV_OFFLINE=1 with UV_FIND_LINKS, name a folder of wheels instead.
test-install: setup
	@$(BIN)/python -m pytest -rs -m install tests/install

lint: setup
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@imports=$$($(BIN)/lint-imports --no-cache 2>&1) || { echo "$$imports"; exit 1; }

format: setup
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

types: setup
	@$(BIN)/mypy

# Renders the screenshots in docs/images and the demo's table, and writes into the pages what their commands print.
pictures: setup
	@$(BIN)/python docs/pictures.py
	@PYTHONPATH=tests $(BIN)/python tests/docs/page_player.py

# Builds the documentation site in build/site; fails on a broken link. Its generator has an environment of its own.
docs: .venv-docs/ready
	@rm -rf build/docs build/site && mkdir -p build/docs
	@cp -R docs/. build/docs/ && rm -rf build/docs/*.py build/docs/__pycache__
	@sed 's#](docs/#](#g' CHANGELOG.md > build/docs/changelog.md
	@NO_COLOR=1 .venv-docs/bin/zensical build --strict
	@echo 'The site is in build/site; open build/site/index.html.'

.PHONY: docs lock-docs clean-docs

.venv-docs/ready: requirements-docs.lock
	@$(PYTHON) -m venv .venv-docs
	@.venv-docs/bin/python -m pip install -qq --require-hashes --requirement requirements-docs.lock
	@touch $@

# Rewrites requirements-docs.lock from the dependency group `docs` of pyproject.toml.
lock-docs: .venv-docs/ready
	@.venv-docs/bin/python -m pip install --quiet uv
	@.venv-docs/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
	  --no-emit-index-url --no-emit-find-links --group pyproject.toml:docs --output-file requirements-docs.lock

clean: clean-docs
clean-docs:
	rm -rf .venv-docs build/docs build/site

# Measures every figure, prints it beside its bound, and writes docs/performance.md. About 15 minutes on two cores.
bench: setup
	@$(BIN)/python -m benchmarks

# Measures a few ratios in under a minute; fails when one is three times its recorded value.
bench-check: setup
	@$(BIN)/python -m benchmarks --check

# Runs market days with faults in virtual time; `python -m faults --seed N -v` prints one of them in detail.
faults: setup
	@$(BIN)/python -m faults run

faults-full: setup
	@$(BIN)/python -m faults run --full

# Rewrites requirements.lock from pyproject.toml: names, versions and hashes, no hosts. contrib/requirements.lock has those of
# them that a container or a Homebrew formula installs: no tools, and no keyring, which a service has not.
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
  --no-emit-index-url --no-emit-find-links
lock: setup
	@$(BIN)/python -m pip install --quiet uv
	@$(COMPILE) --all-extras --group dev pyproject.toml --output-file requirements.lock
	@$(COMPILE) --extra api --extra notify --extra report --extra postgres --extra telemetry \
	  --constraint requirements.lock pyproject.toml --output-file contrib/requirements.lock

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis
