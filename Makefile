# Two commands do all the set-up: `make demo` and `make test`.

PYTHON ?= python3
VENV ?= .venv
WORKERS ?= 2
RUN = $(VENV)/bin/python

.PHONY: demo demo-hst test lint wheels clean

demo: $(VENV)/.demo
	$(RUN) -m demo $(if $(DATA),--data $(DATA))

# Full size, its programs within 8 GiB, on the CPU; 13 to 20 minutes on two cores.
demo-hst: $(VENV)/.demo
	JAX_PLATFORMS=cpu $(RUN) -m benchmarks.demo_hst $(if $(OUTPUT),--output $(OUTPUT))

# Most tests keep one core busy.
test: $(VENV)/.test
	JAX_PLATFORMS=cpu $(RUN) -m pytest --numprocesses $(WORKERS) --dist loadfile

lint: $(VENV)/.test
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/pyright --pythonpath $(RUN)

wheels: $(VENV)/.demo
	$(RUN) -m pip wheel --quiet --no-deps --wheel-dir dist . packaging/memplan

$(VENV)/.demo: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --disable-pip-version-check --editable '.[demo]'
	touch $@

# With XLA's GPU compiler (which needs no GPU) and the samplers that the planner is tried on.
$(VENV)/.test: $(VENV)/.demo
	$(RUN) -m pip install --quiet --disable-pip-version-check --editable '.[demo,test,targets,peers]'
	touch $@

clean:
	rm -rf $(VENV) dist output demo/data
