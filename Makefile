# Everything goes through a project-local environment, .venv; after the first install nothing needs a network.
PYTHON ?= python3
RUN := .venv/bin/python
# The lock alone decides what is installed: without --no-deps an old pip resolves extras (coverage[toml]) anew, and fails
# on the day that a newer release comes out.
PIP := $(RUN) -m pip install --quiet --disable-pip-version-check --no-deps

.PHONY: help setup demo real bench pictures test coverage mutate messages lint types install-test e2e site lock clean

help:
	@echo "make demo   install, then optimize the example skill with the rehearsal model (no key, no network)"
	@echo "make real   let a small real model (SmolLM2, 135 million parameters) work on examples/labels, on this machine"
	@echo "make bench  count what a run executes and asks, and measure start-up, throughput, memory and grading"
	@echo "make test   install, then run the whole test suite"
	@echo "make coverage   how much of the method and the skill their own tests reach"
	@echo "make mutate FILE=skillgrad_ci/… TESTS=tests/…   which lines of a file no test holds, in minutes"
	@echo "make lint   check style; make types: check types; make e2e: Docker image and act, for real"
	@echo "make site   the documents as a site; make pictures: the pictures of README.md"
	@echo "make install-test   install from the locks with the oldest pip, and the wheel alone"

setup: .venv/.installed

.venv/.installed: pyproject.toml requirements-dev.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "$(PYTHON) is older than 3.11; install Python 3.11, or say make PYTHON=python3.12"; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' || \
		{ echo "$(PYTHON) cannot make environments; on Debian and Ubuntu: apt-get install python3-venv"; exit 2; }
	@test -x $(RUN) || $(PYTHON) -m venv .venv
	@echo "Installing the locked packages into .venv (once; a minute or two)…"
	@$(PIP) --require-hashes -r requirements-dev.lock
	@$(PIP) --no-build-isolation --editable .
	@touch $@

demo: setup
	@$(RUN) -m skillgrad_ci optimize examples/xlsx/skills/workbook-reports --model rehearsal

# The model's packages (200 MB) go into .real, and none of ours does. IF_AVAILABLE=1: to do without them is no error.
real: setup
	@$(RUN) -m benchmarks.real_model $(if $(IF_AVAILABLE),--if-available)

# Counts are the same on every machine, and held by tests/test_benchmarks.py; times and bytes are this machine's.
bench: setup
	@$(RUN) -m benchmarks

test: setup
	@$(RUN) -m pytest -n auto --dist worksteal -m "not docker and not index"

# What README.md shows: from a new rehearsal of the example, in .cache/pictures.
pictures: setup
	@$(RUN) site/pictures.py

# In a copy: mutmut writes a folder of mutants, and reads from pyproject.toml what to mutate. It is in no lock, for nothing
# of the project needs it.
mutate: setup
	@test -n "$(FILE)" -a "$(TESTS)" != tests || { \
		echo "say make mutate FILE=skillgrad_ci/method/task.py TESTS=tests/method/test_task.py"; exit 2; }
	@rm -rf .mutants && mkdir .mutants && git ls-files -z | tar --null -T - -cf - | tar -xf - -C .mutants
	@$(RUN) -m pip install --quiet --disable-pip-version-check --target .mutants/.packages mutmut
	@sed -i 's#^only_mutate = .*#only_mutate = ["$(FILE)"]#; s#^\(pytest_add.*_selection\) = .*#\1 = ["$(TESTS)"]#' \
		.mutants/pyproject.toml
	@cd .mutants && PYTHONPATH=.packages ../$(RUN) -m mutmut run && PYTHONPATH=.packages ../$(RUN) -m mutmut results

# The examples of the program's messages, as these tests provoke them: make messages TESTS=tests/skill
TESTS ?= tests
messages: setup
	@rm -rf .cache/messages
	@SKILLGRAD_MESSAGES=.cache/messages $(RUN) -m pytest -q -n auto -m "not docker and not index" $(TESTS) || true
	@SKILLGRAD_MESSAGES=.cache/messages $(RUN) -m tests.messages.recorder

# The method and the skill must be covered to 90% by their own tests. Those of servers and agents are left out: Python
# 3.11 now and then cannot start two threads at once that are traced.
coverage: setup
	@$(RUN) -m pytest -q -n auto tests/method tests/skill --cov --cov-report=
	@$(RUN) -m coverage report --include='skillgrad_ci/method/*,skillgrad_ci/skill/*' --fail-under=90

lint: setup
	@$(RUN) -m ruff check .
	@$(RUN) -m ruff format --check .

types: setup
	@$(RUN) -m mypy

# With the oldest pip, as if newer releases existed; and the wheel alone.
install-test: setup
	@$(RUN) -m pytest -m index

BASE := skillgrad-base:test
e2e: setup
	@sh tests/e2e/docker-base.sh $(BASE)
	@$(RUN) -m pytest -m docker --durations=10
	@for variant in 0 1; do \
		DOCKER_BUILDKIT=0 docker build --quiet --network host --build-arg BASE_IMAGE=$(BASE) \
			--build-arg WITH_LIBREOFFICE=$$variant --tag skillgrad-ci:libreoffice-$$variant . >/dev/null || exit 1; \
	done
	@docker images --format '{{.Repository}}:{{.Tag}} {{.Size}}' skillgrad-ci

site: setup
	@test -x .cache/site-venv/bin/mkdocs || { $(PYTHON) -m venv .cache/site-venv && \
		.cache/site-venv/bin/pip -q install --no-deps --require-hashes -r site/requirements.lock; }
	@NO_MKDOCS_2_WARNING=1 .cache/site-venv/bin/mkdocs build --strict --quiet && echo "the documents are in .cache/site/index.html"

LOCK := $(RUN) -m uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --upgrade pyproject.toml
lock: setup
	$(LOCK) -o requirements.lock --custom-compile-command "make lock"
	$(LOCK) --extra dev -o requirements-dev.lock --custom-compile-command "make lock"
	$(RUN) -m uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --upgrade --no-header \
		site/requirements.in -o site/requirements.lock
	$(RUN) -m uv pip compile --quiet --no-deps --universal --generate-hashes --python-version 3.11 --no-header \
		benchmarks/real_model/requirements.in -o benchmarks/real_model/requirements.lock

clean:
	rm -rf .venv .real runs .cache
