# Two commands do all the set-up: `make demo` and `make test`.

PYTHON ?= python3
VENV ?= .venv
RUN = $(VENV)/bin/python

.PHONY: demo test lint wheels clean

demo: $(VENV)/.installed
	$(RUN) -m demo $(if $(DATA),--data $(DATA))

test: $(VENV)/.installed
	JAX_PLATFORMS=cpu $(RUN) -m pytest

lint: $(VENV)/.installed
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/pyright --pythonpath $(RUN)

wheels: $(VENV)/.installed
	$(RUN) -m pip wheel --quiet --no-deps --wheel-dir dist . packaging/memplan

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --disable-pip-version-check --editable '.[demo,test]'
	touch $@

clean:
	rm -rf $(VENV) dist output demo/data
