# make demo   train, prove, certify, attack and report a classifier of handwritten digits
# make test   lint, types, import direction, tests
# make clean  remove the environment and caches; runs/ stays
#
# Your own PyTorch (a CUDA build, say) in an environment of yours:  make demo VENV=$VIRTUAL_ENV TORCH=own

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
TORCH ?= pinned
BIN := $(VENV)/bin
RUNS := $(VENV)/.onelip-runs
TESTS := $(VENV)/.onelip-tests
# Byte code is compiled where it is used; compiling all of torch would take a minute.
INSTALL := -m pip install --quiet --disable-pip-version-check --no-compile

ifeq ($(TORCH),own)
CONSTRAINTS := $(VENV)/.onelip-constraints
else
CONSTRAINTS := constraints.txt
endif

.PHONY: demo test check format clean
.DEFAULT_GOAL := demo

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "onelip needs Python 3.11 or newer; this is " + sys.version.split()[0] + "; name another with make PYTHON=...")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.onelip-constraints: constraints.txt | $(BIN)/python
	grep -v '^torch==' constraints.txt > $@

$(RUNS): pyproject.toml $(CONSTRAINTS) | $(BIN)/python
	$(BIN)/python $(INSTALL) -c $(CONSTRAINTS) -e '.[train]'
	@touch $@

$(TESTS): pyproject.toml $(CONSTRAINTS) | $(BIN)/python
	$(BIN)/python $(INSTALL) -c $(CONSTRAINTS) -e '.[dev]'
	@# Its declared dependencies bring torchvision, which no CPU build of torch can load; it does not need it.
	$(BIN)/python $(INSTALL) -c $(CONSTRAINTS) --no-deps torchattacks
	@touch $@ $(RUNS)

demo: $(RUNS)
	$(BIN)/onelip train digits

test: $(TESTS)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/pytest -n 2 --dist worksteal

check: test

format: $(TESTS)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache
