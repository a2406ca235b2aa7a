# Two commands set up everything on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TORCH := torch==2.13.0
export PYTHONUNBUFFERED = 1

.PHONY: setup demo test test-all lint bench docs clean

setup: $(VENV)/.ready

# torch is installed first and as its CPU build: a CUDA build is several GB of no use here. Where the
# ordinary index has no CPU wheel (Linux x86-64), uv knows where PyTorch keeps it.
$(VENV)/.ready: setup.py constraints.txt Makefile
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Aislewise needs Python 3.11 or newer")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q --upgrade 'setuptools>=68,<80' wheel
	$(BIN)/python -c 'import torch' 2>/dev/null || \
	  if [ "$$(uname -s)-$$(uname -m)" = Linux-x86_64 ]; then \
	    $(BIN)/pip install -q '$(TORCH)+cpu' 2>/dev/null || \
	    { $(BIN)/pip install -q 'uv<1' && $(BIN)/uv pip install -q --python $(BIN)/python --torch-backend cpu '$(TORCH)'; }; \
	  else $(BIN)/pip install -q '$(TORCH)'; fi
	$(BIN)/pip install -q --no-build-isolation -c constraints.txt -e '.[train,dev]'
	$(BIN)/pip install -q --no-deps 'ouster-sdk>=0.16,<2'  # its own pins exclude today's rosbags
	$(BIN)/python tools/check_system.py
	touch $@

demo: setup
	$(BIN)/aislewise demo --out out/demo

test: setup
	$(BIN)/python -m pytest

test-all: setup
	$(BIN)/python -m pytest -m 'slow or not slow'

lint: setup
	$(BIN)/ruff check .
	$(BIN)/lint-imports --no-cache
	$(BIN)/mypy

bench: setup
	$(BIN)/python -m benchmarks

docs: setup
	$(BIN)/python -m tools.docs

clean:
	rm -rf out build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
