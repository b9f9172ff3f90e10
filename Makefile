# Each target does its own set-up: a virtual environment in .venv, the package built into it.
#   bench   how many nodes a second this machine searches
#   test    every test; `quick`: those that matter while editing, two at a time, in under a minute once it is built
#   lint    ruff, mypy, and the types of the compiled core against the core itself
#   docs    the documentation as a site, in build/site
#   debug   an unoptimised build with assertions and symbols in .venv, for gdb; any other target puts the fast one back
# The GPU back end: what tests uses the emulated one, so that tests run every kernel; else it is built where ROCm is found.
# ROCM=amd, cuda, emulated or disabled says which.
PYTHON ?= python3
ROCM ?= $(if $(filter test quick lint debug,$(MAKECMDGOALS)),emulated,auto)
venv = .venv
python = $(venv)/bin/python -I
export PATH := $(CURDIR)/$(venv)/bin:$(PATH)
kind = $(ROCM)$(if $(filter debug,$(MAKECMDGOALS)),-debug)
stamp = $(venv)/.ready-$(kind)
sources = $(shell find src lc0rocm nets -type f -not -path '*/__pycache__/*') meson.build meson_options.txt pyproject.toml \
          $(wildcard tests/*/*.cc tests/*/*.h tests/*/meson.build)

# pip is brought up to date: the one that comes with Python 3.10 and Debian 12 takes only the last of several settings of a name.
# Scripts in .venv and files in build hold the checkout's path: one that was copied or renamed makes its own.
moved = $(if $(filter-out $(CURDIR),$(file < $(venv)/.tools)),moved)

.PHONY: bench test quick lint docs debug clean moved

bench: $(stamp)
	@$(python) -m lc0rocm bench

test: $(stamp)
	$(python) -m pytest $(PYTEST_ARGS)

quick: $(stamp)
	$(python) -m pytest -n 2 --dist loadfile --max-worker-restart=0 -m "not slow" $(PYTEST_ARGS)

lint: $(stamp) $(venv)/.tools-lint
	$(python) -m ruff check
	$(python) -m mypy
	$(python) -m mypy.stubtest --mypy-config-file pyproject.toml --allowlist scripts/stubtest_allowlist.txt lc0rocm._core

docs: $(venv)/.tools-docs
	NO_MKDOCS_2_WARNING=1 $(python) -m mkdocs build --quiet --strict --site-dir build/site

debug: $(stamp)
	@echo "built; for example: gdb --args $(venv)/bin/python -m lc0rocm bench"

# One package is in .venv at a time: the stamps of other kinds go with theirs. What an interrupted installation left behind, pip would
# neither mend nor remove.
$(stamp): $(sources) $(moved) | $(venv)/.tools
	rm -rf $(venv)/.ready-* $(venv)/lib/python3*/site-packages/lc0rocm*
	$(python) -m pip install --quiet --no-build-isolation --no-deps --config-settings=build-dir=build/$(kind) \
	  --config-settings=setup-args=-Drocm=$(ROCM) --config-settings=setup-args=-Dtests=true \
	  $(if $(filter %-debug,$(kind)),--config-settings=setup-args=-Dbuildtype=debug) .
	@touch $@

$(venv)/.tools: pyproject.toml $(moved)
	test -e $@ -a -z '$(moved)' || rm -rf $(venv) $(if $(moved),build)
	test -e $(venv) || $(PYTHON) -m venv $(venv)
	@rm -f $@
	$(python) scripts/requirements.py > $(venv)/requirements.txt
	$(python) -m pip install --quiet -r $(venv)/requirements.txt 'pip>=23.1'
	@echo '$(CURDIR)' > $@

$(venv)/.tools-%: pyproject.toml | $(venv)/.tools
	$(python) scripts/requirements.py $* > $(venv)/requirements-$*.txt
	$(python) -m pip install --quiet -r $(venv)/requirements-$*.txt
	@touch $@

clean:
	rm -rf build dist $(venv) .pytest_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +
