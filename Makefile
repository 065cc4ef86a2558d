# Everything here works on a fresh machine with Python 3.11+ and make: each target makes what it needs.
# Another Python has an environment of its own: make test PYTHON=python3.13 VENV=.venv-3.13
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
WHEEL_ROOM := build/wheel
PIP := $(BIN)/python -m pip --disable-pip-version-check
# Without bytecode, which some machines switch off, each of the processes that tests start would compile the package again.
export PYTHONDONTWRITEBYTECODE :=
# Four workers on two cores, for many tests wait; idle ones take tests over.
IN_PARALLEL := -n 4 --dist worksteal

.PHONY: demo test soak mutants lint audit format bench generate follow manual docs api dist test-wheel test-lowest sbom changelog lock clean

demo: $(VENV)/.demo
	@$(BIN)/spotify-ads demo

test: $(VENV)/.test
	$(BIN)/python -m pytest $(IN_PARALLEL)

soak: $(VENV)/.test
	$(BIN)/python -m pytest -m "soak or hypothesis" --hypothesis-profile "at length"

# Breaks the core's pure parts in every small way, and names what no test noticed; NAME=spotify_ads_async.core.retry* takes a part.
mutants: $(VENV)/.test
	$(PIP) install -q -c constraints.txt --group mutation
	$(BIN)/mutmut run $(NAME)
	$(BIN)/mutmut results

lint: $(VENV)/.lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/pyright
	$(BIN)/mypy tests/typing

# Known vulnerabilities of every pinned package. Apart from lint, because it asks the network; a package that could not be asked
# about fails it.
audit: $(VENV)/.audit
	$(BIN)/pip-audit --requirement constraints.txt --no-deps --disable-pip --strict --progress-spinner off

format: $(VENV)/.lint
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# All measurements take about forty minutes; NAME=decoding runs one, NAME=--list names them.
bench: $(VENV)/.test
	$(BIN)/python -m benchmarks $(NAME)

# The generated code, from spotify_ads_async/api.json and codegen/overrides.yaml; a test compares.
generate: $(VENV)/.lint
	$(BIN)/python -m codegen

# Takes the facts of a newer document, generates, and reports what has changed.
follow: $(VENV)/.lint
	@test -n "$(DOCUMENT)" || { echo "usage: make follow DOCUMENT=<path or URL of the OpenAPI document>" >&2; exit 2; }
	$(BIN)/python -m codegen follow "$(DOCUMENT)"

# The command line's pages, from the program itself; a test compares.
manual: $(VENV)/.test
	$(BIN)/python -m tools.manual

# Fails on a broken link, and on a public name that no page shows.
docs: $(VENV)/.docs
	$(BIN)/zensical build --clean --strict
	$(BIN)/python -m pytest -q -m site

# Announces the public API as it is now, and gives the documentation's code to the type checkers; tests compare.
api: $(VENV)/.test
	cd tests && ../$(BIN)/python -m support.public_api
	cd tests && ../$(BIN)/python -m support.typed_pages

# The wheel and the source archive; the wheel is built from what the archive holds.
dist: $(VENV)/.release
	rm -rf dist
	$(BIN)/python -m build --no-isolation

# The whole suite against the built wheel: the tests run where no source of the package is in sight.
test-wheel: dist
	rm -rf $(WHEEL_ROOM)
	mkdir -p $(WHEEL_ROOM)
	$(PYTHON) -m venv $(WHEEL_ROOM)/venv
	$(WHEEL_ROOM)/venv/bin/python -m pip --disable-pip-version-check install -q -c constraints.txt pip
	$(WHEEL_ROOM)/venv/bin/python -m pip --disable-pip-version-check install -q -c constraints.txt --group test --group bench --group contract \
	  "$$(ls dist/*.whl)[cli,redis,otel,speed,tables,dlt,mcp]"
	git archive HEAD | tar -x -C $(WHEEL_ROOM) --exclude='spotify_ads_async' --exclude='spotify_ads_cli' --exclude='pytest_spotify_ads.py'
	cd $(WHEEL_ROOM) && venv/bin/python -m pytest $(IN_PARALLEL)

# The suite with the oldest versions that pyproject.toml allows, so that they are true. What they pull in is as new as it is for users.
LOWEST_ROOM := build/lowest
test-lowest: $(VENV)/.base
	rm -rf $(LOWEST_ROOM)
	mkdir -p $(LOWEST_ROOM)
	$(PIP) install -q uv
	$(BIN)/uv pip compile --quiet --resolution lowest-direct --python-version 3.11 --all-extras --group test --no-annotate \
	  --output-file $(LOWEST_ROOM)/requirements.txt pyproject.toml
	$(BIN)/uv venv --quiet --python $(PYTHON) $(LOWEST_ROOM)/venv
	$(BIN)/uv pip install --quiet --python $(LOWEST_ROOM)/venv/bin/python -r $(LOWEST_ROOM)/requirements.txt
	$(BIN)/uv pip install --quiet --python $(LOWEST_ROOM)/venv/bin/python --no-deps -e .
	$(LOWEST_ROOM)/venv/bin/python -m pytest $(IN_PARALLEL) $(LOWEST_TESTS)

# What the package needs where it runs, as CycloneDX.
sbom: $(VENV)/.base
	mkdir -p build
	$(PIP) install -q uv
	rm -rf build/sbom-venv
	$(BIN)/uv venv --quiet --python $(PYTHON) build/sbom-venv
	$(BIN)/uv pip install --quiet --python build/sbom-venv/bin/python -c constraints.txt '.[cli,redis,otel,speed,tables]'
	$(BIN)/uvx --from 'cyclonedx-bom>=7' cyclonedx-py environment --pyproject pyproject.toml --output-file build/sbom.json build/sbom-venv/bin/python

# Moves the fragments of changes/ into CHANGELOG.md under the version of spotify_ads_async/version.py.
changelog: $(VENV)/.release
	$(BIN)/towncrier build --version "$$($(BIN)/python -c 'from spotify_ads_async.version import __version__; print(__version__)')"

# The one place where versions move: constraints.txt pins every package for every target.
lock: $(VENV)/.base
	$(PIP) install -q uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --all-extras --group test --group lint --group bench --group build --group contract --group audit --group docs --group release --group mutation \
	  --no-annotate --custom-compile-command "make lock" --upgrade --output-file constraints.txt pyproject.toml

clean:
	rm -rf .venv* .pytest_cache .ruff_cache .hypothesis .mypy_cache build dist mutants site

$(VENV)/.base: constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0] + ": make PYTHON=/path/to/python3.11" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(PIP) install -q -c constraints.txt pip
	@touch $@

$(VENV)/.demo: $(VENV)/.base pyproject.toml
	$(PIP) install -q -c constraints.txt --build-constraint constraints.txt -e '.[cli]'
	@touch $@

$(VENV)/.test: $(VENV)/.base pyproject.toml
	$(PIP) install -q -c constraints.txt --build-constraint constraints.txt -e '.[cli,redis,otel,speed,tables,dlt,mcp]' --group test --group bench --group contract
	@touch $@ $(VENV)/.demo

$(VENV)/.lint: $(VENV)/.test pyproject.toml
	$(PIP) install -q -c constraints.txt --group lint --group generate
	@touch $@

$(VENV)/.docs: $(VENV)/.test pyproject.toml
	$(PIP) install -q -c constraints.txt --group docs
	@touch $@

$(VENV)/.release: $(VENV)/.test pyproject.toml
	$(PIP) install -q -c constraints.txt --group build --group release
	@touch $@

$(VENV)/.audit: $(VENV)/.base pyproject.toml
	$(PIP) install -q -c constraints.txt --group audit
	@touch $@
