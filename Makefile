# Each target does its own set-up: a virtual environment in $(VENV), installed once.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
OLDEST ?= .venv-oldest

export NO_ALBUMENTATIONS_UPDATE = 1

.PHONY: demo test lint unit slow test-oldest oldest-dev oldest-core audit format clean

demo: $(INSTALLED)  ## search a ticket on the toy world, carry it to three tasks, write a page
	$(BIN)/python tools/study.py configs/study/toy.py --work-dir work_dirs/demo

test: lint unit  ## everything that must pass

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

unit: $(INSTALLED)
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow"

slow: $(INSTALLED)  ## the tests that take longer than a few seconds each
	$(BIN)/python -m pytest -n 2 --dist worksteal -m slow

test-oldest: oldest-dev oldest-core  ## the tests with the oldest versions that pyproject.toml allows

# The export extra needs a newer torch than the rest, which is tried with its own oldest one.
oldest-dev: EXTRAS = dev
oldest-core: EXTRAS = test,tensorboard,inspect
oldest-core: WITHOUT = --without export

oldest-dev oldest-core:
	$(PYTHON) -m venv --clear $(OLDEST)/$@
	$(OLDEST)/$@/bin/python tests/oldest_versions.py $(WITHOUT) > $(OLDEST)/$@/constraints.txt
	$(OLDEST)/$@/bin/python -m pip install --disable-pip-version-check --quiet \
		--constraint $(OLDEST)/$@/constraints.txt --editable ".[$(EXTRAS)]"
	$(OLDEST)/$@/bin/python -m pip install --disable-pip-version-check --quiet \
		--constraint $(OLDEST)/$@/constraints.txt --no-deps --force-reinstall opencv-python-headless
	$(OLDEST)/$@/bin/python -m pytest -n 2 --dist worksteal -m "not slow"

audit: $(INSTALLED)  ## known vulnerabilities of the pinned versions
	# Strict: a package that the service does not know would be left out and the audit pass.
	$(BIN)/python -m pip_audit --strict --requirement constraints.txt --no-deps --disable-pip

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --quiet \
		--constraint constraints.txt --editable ".[dev]"
	# mmcv brings opencv-python and albumentations opencv-python-headless, and both write cv2. The
	# headless one comes last: it needs no libGL, which slim containers and cluster nodes lack.
	$(BIN)/python -m pip install --disable-pip-version-check --quiet \
		--constraint constraints.txt --no-deps --force-reinstall opencv-python-headless
	touch $@

clean:
	rm -rf $(VENV) $(OLDEST) build *.egg-info
