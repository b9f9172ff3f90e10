# `make bench` and `make test` do their own set-up: a virtual environment in .venv, the package built into it.
# The GPU back end: `make test` builds the emulated one, so that tests run every kernel; else it is built where ROCm is found.
# ROCM=amd, cuda, emulated or disabled says which.
PYTHON ?= python3
ROCM ?= $(if $(filter test,$(MAKECMDGOALS)),emulated,auto)
venv = .venv
export PATH := $(CURDIR)/$(venv)/bin:$(PATH)
stamp = $(venv)/.ready-$(ROCM)
sources = $(shell find src lc0rocm nets -type f -not -path '*/__pycache__/*') meson.build meson_options.txt pyproject.toml \
          $(wildcard tests/*/*.cc tests/*/*.h tests/*/meson.build)

.PHONY: bench test clean

bench: $(stamp)
	@$(venv)/bin/lc0rocm bench

test: $(stamp)
	$(venv)/bin/pytest $(PYTEST_ARGS)

$(stamp): $(sources) | $(venv)/.tools
	$(venv)/bin/pip install --quiet --no-build-isolation --no-deps --config-settings=build-dir=build/$(ROCM) \
	  --config-settings=setup-args=-Drocm=$(ROCM) --config-settings=setup-args=-Dtests=true .
	@touch $@

$(venv)/.tools: pyproject.toml
	$(PYTHON) -m venv $(venv)
	$(venv)/bin/python scripts/requirements.py | $(venv)/bin/pip install --quiet -r /dev/stdin
	@touch $@

clean:
	rm -rf build $(venv)
