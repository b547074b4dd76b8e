# Each target does its own set-up: a virtual environment in $(VENV), installed once.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

export NO_ALBUMENTATIONS_UPDATE = 1

.PHONY: demo test lint unit format clean

demo: $(INSTALLED)  ## search a ticket on the toy world, carry it to three tasks, write a page
	$(BIN)/python tools/study.py configs/study/toy.py --work-dir work_dirs/demo

test: lint unit  ## everything that must pass

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

unit: $(INSTALLED)
	$(BIN)/python -m pytest -n 2 --dist worksteal

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --quiet \
		--constraint constraints.txt --editable ".[dev]"
	touch $@

clean:
	rm -rf $(VENV) build *.egg-info
