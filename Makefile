# Every command of the project; `make` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
PYTHON := .venv/bin/python
TEST := DELIVERY_STATE=.local/test PORT_OFFSET=2000
TSC := node node_modules/typescript/bin/tsc
UV_COMPILE = uv pip compile -q --python-version 3.13 --generate-hashes --no-annotate --no-header pyproject.toml
export PATH := $(CURDIR)/.venv/bin:$(CURDIR)/.local/uv/bin:$(PATH)
# A mesh is many processes, and its tests start them often: what one has compiled, the next finds.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: $(shell sed -n 's/^\([a-z-]*\):.*/\1/p' $(firstword $(MAKEFILE_LIST)))

help: ## list these commands
	@awk 'BEGIN {FS = ":.*## "} /^## / {printf "\n%s\n", substr($$0, 4)} /^[a-z-]+:.*## / {printf "  make %-20s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

## Run it
setup: ## set up everything (every other command does, too)
	@deploy/local/setup.sh
demo: setup ## boot the mesh, or find it running, and drive the seven scenarios through it
	@$(PYTHON) -m deploy.local demo
up: setup ## boot the mesh and leave it running
	@$(PYTHON) -m deploy.local up
down: ## stop the mesh
	@[ ! -x $(PYTHON) ] || $(PYTHON) -m deploy.local down
status: ## processes, traffic, errors, outboxes and queues of the mesh; WATCH=1 goes on
	@[ -x $(PYTHON) ] || { echo "the mesh is not running; \`make up\` starts it"; exit 1; }
	@$(PYTHON) -m deploy.local status $(if $(WATCH),--watch)
logs: setup ## follow the logs; NAMES="orders partners" for some
	@$(PYTHON) -m deploy.local logs $(NAMES)
admin: setup ## make EMAIL=… an admin, the first one say
	@$(PYTHON) -m deploy.local admin "$(or $(EMAIL),$(error say which account: make admin EMAIL=…))"
caller: setup ## give the caller NAME=… of the contract a certificate and a sidecar
	@$(PYTHON) -m deploy.local caller "$(or $(NAME),$(error say which caller: make caller NAME=…))"
dead-letters: setup ## messages that nothing could settle: DO="list", "show QUEUE ID", "replay …", "drop …"
	@$(PYTHON) -m deploy.local.dead_letters dead-letters $(or $(DO),list)
reconcile: setup ## compare what all stores say of each order now, mend or report it, and print what disagreed
	@$(PYTHON) -m deploy.local reconcile

## Change it
generate: setup ## write generated/ from api-specs/
	@$(PYTHON) -m codegen generate
diagrams: setup ## draw design/ from the traces of a run of the scenarios
	@$(PYTHON) -m deploy.local diagrams
format: setup ## format and mend what can be repaired
	@ruff check --quiet --fix-only . ; ruff format --quiet .; buf format -w
check: setup ## format, lint, types, imports, contracts, migrations, containers, drift
	@ruff format --check --quiet . || { echo "format: mend it with: make format" >&2; exit 1; }
	@ruff check --quiet . || { echo "lint: some of it mends: make format" >&2; exit 1; }
	@$(PYTHON) -m codegen.checks check
	@mypy || { echo "types: the errors above are mypy's" >&2; exit 1; }
	@$(TSC) -p generated/typescript --noEmit || { echo "typescript: the client does not compile" >&2; exit 1; }
	@$(PYTHON) -m migrations.check
	@$(PYTHON) -m deploy.containers.check
	@$(PYTHON) -m deploy.kubernetes.check
	@lint-imports --no-cache | tail -n 1 || { lint-imports --no-cache; echo "imports: see [tool.importlinter] in pyproject.toml" >&2; exit 1; }
	@$(MAKE) --no-print-directory check-generated
check-generated: setup ## say whether generated/ is what the contracts say
	@$(PYTHON) -m codegen check
client: setup ## compile the TypeScript client to dist/typescript
	@$(TSC) -p generated/typescript --outDir dist/typescript
	@cp generated/typescript/package.json generated/typescript/README.md dist/typescript/
contracts-release: setup ## make the contracts of now the last release; VERSION=X.Y.Z, NOTE="…"
	@$(PYTHON) -m codegen.checks release --version "$(VERSION)" --note "$(NOTE)"
	@$(PYTHON) -m codegen generate
requirements: setup ## pin the newest versions that fit together
	@$(UV_COMPILE) --upgrade --group local --group dev -o requirements/dev.txt
	@$(UV_COMPILE) -c requirements/dev.txt --group local -o requirements/local.txt
	@$(UV_COMPILE) -c requirements/dev.txt -o requirements/services.txt

## Test it
test: setup ## the whole suite
	@deploy/local/setup.sh browser prometheus bench
	@$(MAKE) --no-print-directory check
	@trap '$(TEST) $(PYTHON) -m deploy.local down' EXIT; $(TEST) $(PYTHON) -m pytest $(ARGS)
fuzz: setup ## fuzz for SECONDS (600) by a random SEED; reports/ has HAR and JUnit
	@trap '$(TEST) $(PYTHON) -m deploy.local down' EXIT; FUZZ_EXAMPLES=200 FUZZ_SECONDS=$(or $(SECONDS),600) \
		FUZZ_SEED=$(or $(SEED),$(shell shuf -i 1-999999 -n 1)) FUZZ_REPORTS=$(CURDIR)/reports $(TEST) $(PYTHON) -m pytest tests/fuzz/test_rest.py -k contract $(ARGS)
fuzz-proof: setup ## show that a dropped role check, an undocumented status, a forgotten bound and a skipped ownership check are found
	@$(PYTHON) -m tests.fuzz.mutation
bench: setup ## measure the mesh beside its peers; docs/performance.md and bench/results.json; PARTS="messages alone" for some
	@deploy/local/setup.sh bench
	@$(PYTHON) -m bench $(PARTS)
load: setup ## ten thousand notifications, through kills of their process as well: how long it takes, and that each arrives once
	@$(TEST) $(PYTHON) -m pytest tests/load $(ARGS)
chaos: setup ## beat the mesh while 200 orders live in it, and judge from outside; SEED, ORDERS, KILLS
	@$(PYTHON) -m tests.chaos
chaos-proof: setup ## show that chaos finds an inbox, an outbox and an acknowledgement that are broken on purpose
	@$(PYTHON) -m tests.chaos.mutation
containers-test: setup ## the whole system in containers: compose, then pods that are replaced under load; STEPS="images compose pods"
	@deploy/local/setup.sh containers
	@$(PYTHON) -m tests.containers $(STEPS)
test-identity-oracle: setup ## compare the sandbox's identity provider with Google's emulator (fetches it from npm)
	@npm install --silent --no-audit --no-fund --no-package-lock --prefix .local/oracle firebase-tools@14.27.0
	@$(PYTHON) -m pytest tests/conformance $(ARGS)
tests-cover: setup ## the whole suite with a report of what it covers
	@trap '$(TEST) $(PYTHON) -m deploy.local down' EXIT; $(TEST) $(PYTHON) -m pytest --cov --cov-report=term-missing:skip-covered --cov-report=html $(ARGS)
tests-clear: ## remove what tests and coverage leave behind
	@rm -rf .coverage* htmlcov .hypothesis .schemathesis .pytest_cache .mypy_cache .ruff_cache
