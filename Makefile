# Three commands are all a newcomer needs: `make demo`, `make check` while working, `make test` before it lands.

PYTHON ?= python3
BIN := .venv/bin
# The environment with nothing but what 3D Slicer ships, and the one with the real Slicer core: each has its own
# tests, and its own versions of VTK.
BASE := .venvs/base/bin/python
SLICER := .venvs/slicer/bin/python
# PySide6 6.12.0 loses references to None before Python 3.12, until the interpreter dies (measured).
PYSIDE := PySide6-Essentials~=6.9.0
# What is imported is compiled then: most of what is installed never is.
PIP_FLAGS := --quiet --disable-pip-version-check --no-compile
# Both processors are busy to the end: who has no more tests takes some of the other's.
TWO := --numprocesses 2 --dist worksteal
# A skip for a missing tool or package is a failure here; a skip for missing real scans is not.
STRICT := ORBITALSEG_NO_SKIP=1

.PHONY: demo check test environments system lint types fast library base slicer panel resolve docs release rehearsal clean

demo: build/phantom  ## A phantom's CT in, a printable model out: look at out/preview.png
	$(BIN)/orbitalseg segment build/phantom --output out --force

build/phantom: .venv/ready $(wildcard OrbitalSegLib/phantom/*.py)
	rm -rf build/phantom
	mkdir -p build
	$(BIN)/orbitalseg phantom build/phantom

check: lint types fast  ## What tells within minutes whether a change is sound

test:  ## Everything that is checked before a change lands
	$(MAKE) system
	$(MAKE) --jobs 2 environments
	$(MAKE) --jobs 2 lint types slicer resolve
	$(MAKE) base
	$(MAKE) library
	$(MAKE) panel

environments: system .venv/ready .venvs/base/ready .venvs/slicer/ready

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/ready
	$(BIN)/mypy

fast: environments  ## The tests that are not slow
	$(STRICT) $(BIN)/pytest Testing/library Testing/real -m "not slow" $(TWO)
	$(STRICT) $(SLICER) -m pytest Testing/panel -m "not slow" $(TWO)
	$(STRICT) $(SLICER) -m pytest Testing/slicer -m "not slow"

library: .venv/ready system
	$(STRICT) $(BIN)/pytest Testing/library Testing/real $(TWO) --cov --cov-report=term --cov-fail-under=95

base: .venvs/base/ready  ## What a missing extra could break, where nothing but the base dependencies is installed
	ORBITALSEG_BASE=1 $(BASE) -m pytest Testing/library -m "base and not slow and not learn" $(TWO)

slicer: .venvs/slicer/ready
	$(STRICT) $(SLICER) -m pytest Testing/slicer

panel: .venvs/slicer/ready system  ## The Slicer module on a host of our own
	$(STRICT) $(SLICER) -m pytest Testing/panel $(TWO)

resolve: .venvs/resolved  ## Do the dependencies exist for Slicer's Python on every system?

.venvs/resolved: .venv/ready Testing/resolve.py
	$(BIN)/python Testing/resolve.py
	mkdir -p .venvs && touch $@

docs: .venvs/docs/ready  ## The documentation site: open build/site/index.html. A broken link or unknown name fails
	rm -rf docs/api build/site
	.venvs/docs/bin/python -m sphinx --quiet --fail-on-warning --keep-going -d build/doctrees docs build/site

release: .venvs/release/ready system  ## The files of a release, of the commit with its tag: docs/releasing.md
	.venvs/release/bin/python tools/release.py

rehearsal: .venvs/release/ready system  ## The same of any commit
	.venvs/release/bin/python tools/release.py --rehearse

system:
	@PYTHON=$(PYTHON) sh Testing/system-packages.sh

.venv/ready: pyproject.toml constraints.txt
	@PYTHON=$(PYTHON) sh Testing/system-packages.sh python3-venv
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install $(PIP_FLAGS) --upgrade pip
	$(BIN)/python -m pip install $(PIP_FLAGS) --constraint constraints.txt --editable ".[cli,mesh,test]"
	touch $@

.venvs/base/ready: pyproject.toml
	$(PYTHON) -m venv .venvs/base
	$(BASE) -m pip install $(PIP_FLAGS) --upgrade pip
	$(BASE) -m pip install $(PIP_FLAGS) --editable . pytest pytest-xdist hypothesis
	touch $@

.venvs/slicer/ready: pyproject.toml
	$(PYTHON) -m venv .venvs/slicer
	$(SLICER) -m pip install $(PIP_FLAGS) --upgrade pip
	$(SLICER) -m pip install $(PIP_FLAGS) slicer-core pytest pytest-xdist "$(PYSIDE)"
	$(SLICER) -m pip install $(PIP_FLAGS) --editable ".[dicom,infer,mesh]" # what the panel asks its user for
	touch $@

.venvs/docs/ready: pyproject.toml
	$(PYTHON) -m venv .venvs/docs
	.venvs/docs/bin/python -m pip install $(PIP_FLAGS) --upgrade pip
	.venvs/docs/bin/python -m pip install $(PIP_FLAGS) --editable ".[docs]"
	touch $@

.venvs/release/ready: pyproject.toml
	$(PYTHON) -m venv .venvs/release
	.venvs/release/bin/python -m pip install $(PIP_FLAGS) --upgrade pip
	.venvs/release/bin/python -m pip install $(PIP_FLAGS) "build>=1.2" "cyclonedx-bom>=7" "setuptools>=77"
	touch $@

clean:
	rm -rf .venv .venvs out build
