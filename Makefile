# Each target does its own set-up: a virtual environment in .venv, the package built into it.
#   bench   how many nodes a second this machine searches
#   test    every test; `quick`: those that matter while editing, in under a minute
#   lint    ruff, mypy, and the types of the compiled core against the core itself
#   docs    the documentation as a site, in build/site
#   debug   an unoptimised build with assertions and symbols in .venv, for gdb; any other target puts the fast one back
# The GPU back end: what tests uses the emulated one, so that tests run every kernel; else it is built where ROCm is found.
# ROCM=amd, cuda, emulated or disabled says which.
PYTHON ?= python3
ROCM ?= $(if $(filter test quick lint debug,$(MAKECMDGOALS)),emulated,auto)
venv = .venv
export PATH := $(CURDIR)/$(venv)/bin:$(PATH)
kind = $(ROCM)$(if $(filter debug,$(MAKECMDGOALS)),-debug)
stamp = $(venv)/.ready-$(kind)
sources = $(shell find src lc0rocm nets -type f -not -path '*/__pycache__/*') meson.build meson_options.txt pyproject.toml \
          $(wildcard tests/*/*.cc tests/*/*.h tests/*/meson.build)

.PHONY: bench test quick lint docs debug clean

bench: $(stamp)
	@$(venv)/bin/lc0rocm bench

test: $(stamp)
	$(venv)/bin/pytest $(PYTEST_ARGS)

quick: $(stamp)
	$(venv)/bin/pytest -m "not slow" $(PYTEST_ARGS)

lint: $(stamp) $(venv)/.tools-lint
	$(venv)/bin/ruff check
	$(venv)/bin/mypy
	cd $(venv) && bin/python -m mypy.stubtest lc0rocm._core

docs: $(venv)/.tools-docs
	NO_MKDOCS_2_WARNING=1 $(venv)/bin/mkdocs build --quiet --strict --site-dir build/site

debug: $(stamp)
	@echo "built; for example: gdb --args $(venv)/bin/python -m lc0rocm bench"

# One package is in .venv at a time: the stamps of other kinds go with theirs.
$(stamp): $(sources) | $(venv)/.tools
	@rm -f $(venv)/.ready-*
	$(venv)/bin/pip install --quiet --no-build-isolation --no-deps --config-settings=build-dir=build/$(kind) \
	  --config-settings=setup-args=-Drocm=$(ROCM) --config-settings=setup-args=-Dtests=true \
	  $(if $(filter %-debug,$(kind)),--config-settings=setup-args=-Dbuildtype=debug) .
	@touch $@

$(venv)/.tools: pyproject.toml
	$(PYTHON) -m venv $(venv)
	$(venv)/bin/python scripts/requirements.py | $(venv)/bin/pip install --quiet -r /dev/stdin
	@touch $@

$(venv)/.tools-%: pyproject.toml | $(venv)/.tools
	$(venv)/bin/python scripts/requirements.py $* | $(venv)/bin/pip install --quiet -r /dev/stdin
	@touch $@

clean:
	rm -rf build $(venv)
