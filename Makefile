# `make bench` and `make test` do their own set-up: a virtual environment in .venv, the package built into it.
PYTHON ?= python3
venv = .venv
export PATH := $(CURDIR)/$(venv)/bin:$(PATH)
stamp = $(venv)/.ready
sources = $(shell find src lc0rocm -type f -not -path '*/__pycache__/*') meson.build meson_options.txt pyproject.toml

.PHONY: bench test clean

bench: $(stamp)
	@$(venv)/bin/lc0rocm bench

test: $(stamp)
	$(venv)/bin/pytest $(PYTEST_ARGS)

$(stamp): $(sources) | $(venv)/.tools
	$(venv)/bin/pip install --quiet --no-build-isolation --no-deps --config-settings=build-dir=build/cp .
	@touch $@

$(venv)/.tools: pyproject.toml
	$(PYTHON) -m venv $(venv)
	$(venv)/bin/python scripts/requirements.py | $(venv)/bin/pip install --quiet -r /dev/stdin
	@touch $@

clean:
	rm -rf build $(venv)
