# Two commands matter: `make quickstart` and `make test`. Both make .venv first when it is missing or out of date.

VENV   := .venv
BIN    := $(VENV)/bin
# The stack that fits this machine; the pins of both are in pyproject.toml.
STACK  ?= $(if $(shell nvidia-smi --list-gpus 2>/dev/null),gpu,cpu)
STAMP  := $(VENV)/.installed-$(STACK)
TORCH  := $(shell grep -o 'torch==[0-9.]*' pyproject.toml | head -n 1)
# The first Python on the path that is new enough.
PYTHON ?= $(shell for p in python3 python3.11 python3.12 python3.13; do \
	$$p -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)

export RAY_USAGE_STATS_ENABLED ?= 0
export TOKENIZERS_PARALLELISM ?= false

.DEFAULT_GOAL := help
.PHONY: help venv quickstart test test-long lint clean

help:
	@echo "make quickstart   warm-up on gold SQL, then learning from executed SQL, on the bundled benchmark; ends with a report"
	@echo "make test         the test suite, with ruff and mypy"
	@echo "make test-long    the tests that take minutes as well"
	@echo "make lint         ruff and mypy alone"
	@echo "make venv         only .venv: the pinned packages (stack here: $(STACK)) and the command rollsql"
	@echo "make clean        removes .venv and caches; runs/ stays"

# Where the index in use gives a CUDA build of torch, PyTorch's own index of CPU wheels is asked, too.
define install-cpu
wheels=$$($(BIN)/python -m pip install --dry-run --quiet --ignore-installed --no-deps --report - $(TORCH) \
	| $(BIN)/python sft/wheels.py) && $(BIN)/python -m pip install --no-deps $$wheels --group cpu
endef
install-gpu = $(BIN)/python -m pip install --group gpu
works-cpu   = import torch; raise SystemExit(torch.version.cuda is not None)
works-gpu   = import torch

venv: $(STAMP)

$(STAMP): pyproject.toml
	@test -n "$(PYTHON)" || { echo "error: Python >= 3.11 with venv is needed (Debian, Ubuntu: apt install python3-venv)," \
		"or name one: make PYTHON=/path/to/python3.11 ..." >&2; exit 2; }
	@echo "== .venv: the pinned $(STACK) packages with $(PYTHON); a few minutes, once =="
	$(if $(filter-out $(STAMP),$(wildcard $(VENV)/.installed-*)),rm -rf $(VENV)  # made for the other stack)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --upgrade 'pip>=25.1'
	$(install-$(STACK))
	@$(BIN)/python -c '$(works-$(STACK))' || { echo "error: pip found no $(STACK) build of $(TORCH) that works here;" \
		"name an index that has one: make PIP_EXTRA_INDEX_URL=... $(MAKECMDGOALS)" >&2; \
		$(BIN)/python -m pip uninstall --yes --quiet torch; exit 2; }
	$(BIN)/python -m pip install --no-deps --no-build-isolation --no-index --quiet --editable .
	@rm -f $(VENV)/.installed-*
	@touch $@

quickstart: $(STAMP)
	$(BIN)/python -m sft.train --config sft/configs/tiny.toml
	$(BIN)/python -m rl.train --config rl/configs/tiny.toml run.name=quickstart

test: lint
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

test-long: lint
	$(BIN)/python -m pytest --long --numprocesses 2 --dist loadfile --no-loadscope-reorder

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/mypy

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
