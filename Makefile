# Every target does its own set-up: `make demo` or `make test` work straight after cloning.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo $$p && break; done)
BIN := .venv/bin
MINUTES ?= 3
STAMP := .venv/.installed
# Two OpenMP threads on a busy machine wait for each other at every barrier; the tests run two processes instead.
QUIET := OMP_NUM_THREADS=1
# A process that has nothing left to do takes tests from the other one.
PYTEST := $(QUIET) $(BIN)/python -m pytest -n 2 --dist worksteal

.PHONY: help setup demo test check bench-quick clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(STAMP)  ## create .venv with morelike in it (.venv/bin/morelike)
	@echo "Ready: $(BIN)/morelike --help"

$(STAMP): pyproject.toml
	@if [ -z "$(PYTHON)" ]; then \
		echo "No Python 3.11 or newer was found (python3 is: $$(python3 --version 2>&1))."; \
		echo "morelike needs Python 3.11 or newer."; \
		echo "Install one, or name it: make setup PYTHON=/path/to/python3.12"; exit 1; fi
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv || { \
		echo "$(PYTHON) could not make a virtual environment. On Debian or Ubuntu: apt install python3-venv"; \
		rm -rf .venv; exit 1; }
	@# A torch wheel in a local folder (PIP_FIND_LINKS, or pip's own configuration) is taken before the registry's build.
	@$(BIN)/python -c 'import torch' 2>/dev/null \
		|| $(BIN)/python -m pip install -q --no-index --no-deps 'torch>=2.11,<2.14' 2>/dev/null || true
	@echo "Installing morelike and its libraries into .venv (a minute or two; torch is large)"
	$(BIN)/python -m pip install -q -e '.[dev]'
	@touch $@

demo: setup  ## train on the built-in cats, dogs and rabbits for three minutes, measure, and look at what comes out
	@out=runs/demo; n=2; while [ -e $$out ]; do out=runs/demo-$$n; n=$$((n + 1)); done; \
	$(BIN)/morelike fit menagerie --family gan --given label --minutes $(MINUTES) --out $$out && \
	for label in cat dog rabbit; do \
		$(BIN)/morelike sample $$out -n 64 --given label=$$label --out $$out/$$label.png || exit $$?; \
	done && \
	$(BIN)/morelike report $$out && \
	printf '\nThe demo is done. Look at:\n' && \
	for file in cat.png dog.png rabbit.png film.gif report.html; do ls $$out/$$file || exit $$?; done && \
	printf '\nNext, your own pictures (one folder for each kind):\n  %s fit path/to/photos --minutes 5\n' $(BIN)/morelike

test: setup  ## run all tests
	$(PYTEST)

check: setup  ## what to run before a commit: style, types, layers, contracts
	$(BIN)/ruff check .
	$(BIN)/mypy --strict src/morelike/core
	$(BIN)/mypy
	$(PYTEST) tests/test_layers.py tests/test_families.py tests/test_nets.py tests/test_codecs.py

bench-quick: setup  ## the measurements that take seconds: the built-in world, data, the yardsticks themselves
	$(QUIET) $(BIN)/python bench/menagerie_rate.py
	$(BIN)/python bench/data_rate.py
	$(QUIET) $(BIN)/python -m pytest bench/test_bench.py

clean:  ## remove the environment and caches; runs stay
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis dist build
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
