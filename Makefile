# make install | demo | test | check: each does the set-up it needs; a second run re-installs nothing.
PYTHON ?= python3
PIP_ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.toolace-installed
DEMO := recipes/smollm2_135m.yaml

.PHONY: install demo test test-slow check clean

install: $(STAMP)

$(STAMP): pyproject.toml constraints/cpu.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))' \
	  || { echo "toolace needs Python 3.10 to 3.12, and $(PYTHON) is another: make $(MAKECMDGOALS) PYTHON=python3.11" >&2; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check $(PIP_ARGS) --constraint constraints/cpu.txt --editable ".[dev]"
	$(BIN)/toolace model
	touch $(STAMP)

# Data, training, answers of both models, the page. Killed at any point, the same command goes on where it was.
demo: install
	$(BIN)/toolace generate $(DEMO)
	$(BIN)/accelerate launch $(DEMO)
	$(BIN)/toolace evaluate $(DEMO)
	$(BIN)/toolace report runs/demo

test: install
	$(BIN)/python -m pytest --cov --cov-report=term:skip-covered

test-slow: install
	$(BIN)/python -m pytest -m slow

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:
	rm -rf runs build dist *.egg-info
