# What can be done in this repository. `make` alone lists it.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# The go command does the same for everyone: the user's GOFLAGS and workspace do not count, and TEST_FLAGS is for more flags of go test.
# With -trimpath a package that was compiled in one checkout is not compiled again in another. Without -buildvcs=false the build fails in a
# checkout that belongs to another user, because Git does not show its history.
# Without the tag Kustomize's library imports Go's package plugin, and the C compiler's linker takes ten seconds more for each program.
# Without DWARF, which only a debugger reads, the compiler works a tenth less. bin/lab and .ci/run read the same file.
override GOFLAGS := $(shell cat .goflags)
override GOWORK := off
export GOFLAGS GOWORK

# The environment that preview, up and down work on: dev, test or prod.
STACK ?= dev
# What diff compares with: a branch, tag or commit.
BASE ?= main
# More flags for the lab, such as --expect-no-changes, and for the plain Pulumi CLI, such as --yes.
LAB_FLAGS ?=
PULUMI_FLAGS ?=
# More flags for preflight, such as --json, or --deployer with an object id.
PREFLIGHT_FLAGS ?=
# The scenarios that lab-scenarios plays; all of them if it is empty.
SCENARIOS ?=
# How often chaos kills something, and more flags for it, such as --seed 7 --round 3.
ROUNDS ?= 100
CHAOS_FLAGS ?=
# More flags for go test, such as -v or -race.
TEST_FLAGS ?=
# The packages that make test runs beside src/. .ci/run leaves out those that "make covered" lists.
PACKAGES ?= ./...
# How long each fuzz target runs, as go test takes it.
FUZZTIME ?= 10s
# The folders whose fuzz targets run, the drills that are played, the alerts that are provoked and the regressions that are tried; all of
# them if it is empty.
FUZZ_IN ?= .
DRILLS ?=
ALERTS ?=
REGRESSIONS ?=
# More flags for the rehearsal of an upgrade, such as --from v1.2.0.
UPGRADE_FLAGS ?=
# The region whose prices are asked for.
REGION ?= francecentral
# More flags for the mutants, such as --changed main or --json.
MUTANT_FLAGS ?=
# What the bill of materials calls the version of the service.
VERSION ?= $(shell git describe --always --dirty)

# The projects in the order in which they read each other's outputs; "." is the root project. The order of deletion is
# the reverse.
PROJECTS := infra bootstrap apps .
PROJECTS_DOWN := . apps bootstrap infra

GOLANGCI_LINT := go tool -modfile=tools/golangci-lint/go.mod golangci-lint
ACTIONLINT := go tool -modfile=tools/actionlint/go.mod actionlint
# An engine or cluster test may wait for a control plane to start on a busy machine. The time is that of all tests of a package.
# SAMPLE is -short in make test.
GO_TEST = go test -timeout 75m $(SAMPLE) $(TEST_FLAGS)
# The service in src/ is a module of its own: each go command here is run there too.
IN_SRC := cd src &&
SRC_LINT := go tool -modfile=../tools/golangci-lint/go.mod golangci-lint
# The packages that have tests of a tier: linking the others only to run nothing would take longer than the tests.
with_tests = $(sort $(dir $(shell grep -rl --include='*_test.go' --exclude-dir=.lab --exclude-dir=tools --exclude-dir=src '^func $(1)' .)))
# The names in the last column of a document's table: its tests, and its scenarios. TestUnit_EveryRowNamesItsTest checks the names.
proofs_of = $(shell awk -F'|' '/^\|/ { print $$(NF-1) }' $(1) | grep -oE $(2) | tr -d '`' | sort -u)
tests_of = $(call proofs_of,$(1),'`(Test|Fuzz)[A-Za-z0-9_]+`')
scenarios_of = $(call proofs_of,$(1),'`[a-z][a-z-]*`')
# The tests of a list, as go test takes them, and the packages that have one of them.
space := $() $()
comma := ,
any_of = ^($(subst $(space),|,$(1)))$$
with_any = $(sort $(foreach test,$(1),$(call with_tests,$(test)\b)))

.PHONY: help
help: ## Show this list
	@awk 'BEGIN { FS = ":.*## " } \
		/^##@/ { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z-]+:.*## / { printf "  %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

##@ The lab: the whole platform on this machine, no cloud account

.PHONY: lab
lab: ## Bring the dev environment up on this machine and leave it running
	bin/lab up --gitops=auto $(LAB_FLAGS)

.PHONY: lab-scenarios
lab-scenarios: ## Play good and bad releases in the lab and show what was promised, and seen: a quarter of an hour
	bin/lab up --gitops
	bin/lab scenarios $(SCENARIOS)

.PHONY: lab-status
lab-status: ## Show whether the lab is up and what is in it
	bin/lab status

.PHONY: lab-down
lab-down: ## Delete everything in the lab and stop it
	bin/lab down

.PHONY: preview
preview: ## Show what the lab would do in STACK=dev|test|prod, and change nothing
	bin/lab preview -s $(STACK) $(LAB_FLAGS)

.PHONY: diff
diff: ## Show what this branch changes in STACK compared with BASE=main; fails if something of it is dangerous
	go build -o bin/lab ./lab
	bin/lab diff --base $(BASE) -s $(STACK) $(LAB_FLAGS) || [ $$? -eq 3 ]

.PHONY: tools
tools: ## Get all programs that the lab and the tests run, building what cannot be downloaded
	bin/lab tools --gitops --tests

##@ A real subscription, with your own Pulumi CLI and login

# go run turns every exit code but 0 into 1, and scripts need the codes of preflight.
.PHONY: preflight
preflight: ## Ask the subscription whether STACK=dev|test|prod can be deployed to it, and change nothing
	go build -o bin/pipeline ./pipeline
	bin/pipeline preflight -s $(STACK) $(PREFLIGHT_FLAGS)

# infra learns first how many nodes the autoscaler has made: an update sends the number that the state knows.
.PHONY: up
up: need-pulumi ## Update the four projects of STACK=dev|test|prod in order
	@for project in $(PROJECTS); do \
		refresh=; \
		[ $$project != infra ] || refresh=--refresh; \
		echo "== pulumi -C $$project up -s $(STACK) $$refresh"; \
		pulumi -C $$project up -s $(STACK) $$refresh $(PULUMI_FLAGS); \
	done

.PHONY: down
down: need-pulumi ## Destroy the four projects of STACK in reverse order
	@for project in bootstrap infra; do \
		plan=$$(pulumi -C $$project destroy -s $(STACK) --preview-only 2>&1) || { \
			echo "$$plan" >&2; \
			echo "$$project of $(STACK) cannot be destroyed. If it is protected, run pulumi -C $$project config set protect false -s $(STACK)," \
				"and pulumi -C $$project up -s $(STACK), first" >&2; \
			exit 1; \
		}; \
	done
	@for project in $(PROJECTS_DOWN); do \
		echo "== pulumi -C $$project destroy -s $(STACK)"; \
		pulumi -C $$project destroy -s $(STACK) $(PULUMI_FLAGS) || { \
			echo "$$project of $(STACK) is not destroyed, and what it needs stays. docs/recovery.md says what to do when an Application" \
				"or AppProject does not go, and when the cluster is gone" >&2; \
			exit 1; \
		}; \
	done

.PHONY: need-pulumi
need-pulumi:
	@command -v pulumi >/dev/null || { \
		echo "there is no pulumi on PATH; install it (https://www.pulumi.com/docs/install) or try make lab, which brings its own" >&2; \
		exit 1; \
	}

##@ Tests: the tier is the beginning of a test's name

.PHONY: test
test: tools ## Run the tests of all tiers; those that are long play a fixed sample
	@$(MAKE) --no-print-directory -k -j2 test-flow test-others SAMPLE=-short
	@echo "With -short these were skipped, and others played a sample; make test-all plays all:"
	@grep -rhoE --include='*_test.go' --exclude-dir=.lab '"-short: [^"]*"' . | tr -d '"' | sort

.PHONY: test-all
test-all: tools ## Run all tests in full: an hour
	@$(MAKE) --no-print-directory -k -j2 test-flow test-others

# The flow of a lab waits for most of its time, but Prometheus has to reach each of its pods every second. So the other tests compute
# while it waits, and are nice.
.PHONY: test-flow test-others
tested = $(shell go list $(PACKAGES))
test-flow:
	@$(foreach package,$(filter %/lab/flow,$(tested)),$(GO_TEST) $(package))
test-others:
	@nice $(GO_TEST) $(filter-out %/lab/flow,$(tested))
	@$(IN_SRC) nice $(GO_TEST) ./...

.PHONY: test-unit
test-unit: ## Run the tests that start no process of the lab: seconds
	$(GO_TEST) -run '^(TestUnit_|Example|Fuzz)' ./...
	$(IN_SRC) $(GO_TEST) -run '^(TestUnit_|Example|Fuzz)' ./...

.PHONY: test-engine
test-engine: tools ## Run the tests that drive the real Pulumi engine
	$(GO_TEST) -run '^TestEngine_' $(call with_tests,TestEngine_)

.PHONY: test-cluster
test-cluster: tools ## Run the tests that need a real Kubernetes API server
	$(GO_TEST) -run '^TestCluster_' $(call with_tests,TestCluster_)

.PHONY: test-service
test-service: ## Run the service's tests with a real PostgreSQL and a real browser
	$(IN_SRC) $(GO_TEST) -run '^TestService_' ./...

.PHONY: test-src
test-src: ## Vet the service, and run all its tests with the race detector
	$(IN_SRC) go vet ./...
	$(IN_SRC) $(GO_TEST) -race ./...

# go test fuzzes one target of one package at a time. Minimising an interesting input is limited in time: the default is a minute, and a
# large input, such as a manifest, uses it all. Up to Go 1.26 go test sometimes reports the end of FUZZTIME itself as a failure, without an
# input that fails (https://go.dev/issue/75804): the target ignores only that failure.
.PHONY: fuzz
fuzz: ## Run each fuzz target for FUZZTIME, one after the other
	@log=$$(mktemp) && trap 'rm -f "$$log"' EXIT; \
	time_was_up() { \
		grep -qx '    context deadline exceeded' "$$log" && ! grep -q 'Failing input written' "$$log" && echo "passed: only its time was up"; \
	}; \
	grep -rnoE --include='*_test.go' --exclude-dir=.lab --exclude-dir=tools '^func Fuzz[A-Za-z0-9_]+' $(FUZZ_IN) | sort | \
	while IFS=: read -r file _ target; do \
		file=./$${file#./}; \
		target=$${target#func }; package=$$(dirname "$$file"); module=.; \
		case $$package in ./src/*) module=src; package=./$${package#./src/} ;; esac; \
		echo "== $$module $$package $$target"; \
		(cd "$$module" && go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 100x $(TEST_FLAGS) "$$package" </dev/null) | \
			tee "$$log" || time_was_up || exit 1; \
	done

# The parts of the programs, each with the percentage that unit tests have to cover: for the last three it is just below what they do.
COVERAGE := infra:85 policy:85 stacks:85 bootstrap:91 apps:93 internal/config:92
coverage_parts = $(foreach part,$(COVERAGE),$(firstword $(subst :, ,$(part))))
covered = $(coverage_parts:%=./%/...) ./published/...
.PHONY: coverage
coverage: ## Check that unit tests cover enough of each part of the programs
	@said=$$(go test -run '^(TestUnit_|Example|Fuzz)' -coverpkg=$(subst $(space),$(comma),$(coverage_parts:%=./%/...)) \
		-coverprofile=coverage.out $(covered) 2>&1) || { echo "$$said" >&2; exit 1; }
	@for floor in $(COVERAGE); do \
		part=$${floor%%:*}; profile=coverage.$${part##*/}.out; \
		{ echo "mode: set"; grep "^github.com/gridos/sharedinfra/$$part/" coverage.out; } >$$profile; \
		go tool cover -func=$$profile | awk -v part=$$part -v floor=$${floor##*:} -v profile=$$profile '/^total:/ { \
			print part ": " $$3; if ($$3 + 0 < floor) { print part " needs " floor " %; see " profile > "/dev/stderr"; exit 1 } }' || exit 1; \
	done

.PHONY: covered
covered: # lists the packages of which coverage runs all tests
	@go list $(covered) | grep -vxF "$$(go list $(call with_tests,TestEngine_) $(call with_tests,TestCluster_))"

.PHONY: mutants
mutants: ## Turn every literal setting and 300 other places round, and list what no test notices
	go build -o bin/mutants ./lab/mutants
	bin/mutants settings $(MUTANT_FLAGS)
	bin/mutants code --seed 1 --count 300 $(MUTANT_FLAGS)

.PHONY: mutants-sample
mutants-sample: ## Turn a fixed list of places round, and twenty of those that differ from BASE=main
	go build -o bin/mutants ./lab/mutants
	bin/mutants sample --changed $(BASE) $(MUTANT_FLAGS)

##@ Measurements

.PHONY: chaos
chaos: ## Kill up, preview and down at ROUNDS random moments, and check that all is whole again: an hour for 100
	go run ./lab/proofs chaos --rounds $(ROUNDS) $(CHAOS_FLAGS)

.PHONY: drills
drills: ## Lose the cluster, the states, Argo CD and the key vault, one after the other, and get them back: five minutes
	go run ./lab/proofs drills $(DRILLS)

# It needs PostgreSQL and nothing of the lab.
.PHONY: restore-rehearsal
restore-rehearsal: ## Lose a real PostgreSQL server between two writes of the service, and restore it to that moment: seconds
	$(IN_SRC) go run ./restore

.PHONY: upgrade-rehearsal
upgrade-rehearsal: ## Upgrade STACK from the last release to this checkout while users send requests: three minutes
	go run ./lab/proofs upgrade -s $(STACK) $(UPGRADE_FLAGS)

.PHONY: alerts
alerts: ## Make each alert fire by its cause, and end without it: half an hour
	go run ./lab/proofs alerts $(ALERTS)

.PHONY: regressions
regressions: ## Bring earlier mistakes back, one at a time, and check that the lab notices each: half an hour
	go run ./lab/proofs regressions $(REGRESSIONS)

# Here a test that lacks a program fails instead of being skipped: a test that did not run must not look as if it had passed.
.PHONY: faults
faults: tools ## Provoke every fault of docs/faults.md: four minutes; leaves the lab running
	CI=true $(GO_TEST) -run '$(call any_of,$(call tests_of,docs/faults.md))' $(call with_any,$(call tests_of,docs/faults.md))
	$(MAKE) --no-print-directory lab-scenarios SCENARIOS='$(call scenarios_of,docs/faults.md)'

.PHONY: intruders
intruders: tools ## Try every way of docs/threat-model.md: twelve minutes; leaves the lab running
	CI=true $(GO_TEST) -run '$(call any_of,$(call tests_of,docs/threat-model.md))' $(call with_any,$(call tests_of,docs/threat-model.md))
	$(IN_SRC) CI=true $(GO_TEST) -run '$(call any_of,$(call tests_of,docs/threat-model.md))' ./...
	$(MAKE) --no-print-directory lab-scenarios SCENARIOS='$(call scenarios_of,docs/threat-model.md)'

.PHONY: bench
bench: ## Measure how long a person waits, next to peers and limits, and write docs/performance.md: 20 minutes
	go run ./lab/bench run --report docs/performance.md

.PHONY: bench-guard
bench-guard: ## Measure the cheap ratios of it, and fail if one has passed its bound: three minutes
	go run ./lab/bench guard

.PHONY: bench-makespan
bench-makespan: ## Show how long Azure needs for gridos-infra in dev, test and prod, and fail if it waits needlessly
	go run ./lab/bench makespan

.PHONY: bench-src
bench-src: ## Measure the service on one core next to pgbench, and its ingest beside a long read of the history: two minutes
	$(IN_SRC) go run ./bench

.PHONY: screenshots
screenshots: ## Take the pictures in docs/images again, with Chromium
	mkdir -p docs/images bin
	go test -count=1 -run '^TestUnit_TheCommentBeginsWithWhatDecides$$' ./internal/changes -page $(CURDIR)/bin/comment.html
	$(shell command -v chromium chromium-browser google-chrome google-chrome-stable | head -n 1) --headless --no-sandbox --hide-scrollbars \
		--window-size=1050,1760 --screenshot=$(CURDIR)/docs/images/comment.png file://$(CURDIR)/bin/comment.html
	$(IN_SRC) CI=true GRIDOS_SCREENSHOTS=$(CURDIR)/docs/images go test -count=1 -run '^TestService_TheDemoFillsThePage$$' ./internal/dashboard
	CI=true go test -count=1 -run '^TestCluster_ThePageShowsAReleaseAndTheDashboardHasLiveValues$$' ./lab/flow -update

##@ Code

# The digest is over what the file is made from as well: a changed script or package without a new file fails a unit test.
SCHEMA := lab/internal/azure/schema
.PHONY: azure-schema
azure-schema: ## Derive what the simulated Azure knows of Azure's own schema from Microsoft's packages; needs Node.js 20 and npm
	cd tools/azure-schema && npm ci --ignore-scripts --no-audit --no-fund
	cd tools/azure-schema && node derive.mjs >../../$(SCHEMA)/azure.json && node mutants.mjs >../../lab/internal/azure/testdata/mutants.json
	sha256sum $(SCHEMA)/azure.json lab/internal/azure/testdata/mutants.json \
		tools/azure-schema/{derive.mjs,mutants.mjs,types.json,package.json,package-lock.json} >$(SCHEMA)/SHA256SUMS

.PHONY: fmt
fmt: ## Format the code (gofumpt, goimports)
	$(GOLANGCI_LINT) fmt
	$(IN_SRC) $(SRC_LINT) fmt --config ../.golangci.yml

.PHONY: lint
lint: ## Run the linters, and check the workflows and their pins
	$(GOLANGCI_LINT) run
	$(IN_SRC) $(SRC_LINT) run --config ../.golangci.yml
	$(ACTIONLINT)
	go run ./pipeline workflows

.PHONY: vulnerabilities
vulnerabilities: ## Look for known vulnerabilities that the code reaches; fails too where vuln.go.dev cannot be read
	go run ./pipeline vulnerabilities

.PHONY: prices
prices: ## Bring the price book up to date from Azure's public price list, for REGION=francecentral
	go run ./pipeline prices --region $(REGION)

.PHONY: sbom
sbom: ## Write bin/gridos.cdx.json, the bill of materials of the service's binary as this machine builds it
	mkdir -p bin
	$(IN_SRC) CGO_ENABLED=0 GOOS=linux go build -buildvcs=false -trimpath -ldflags "-s -w" -o ../bin/gridos .
	go tool -modfile=tools/cyclonedx-gomod/go.mod cyclonedx-gomod bin -json -std -version "$(VERSION)" -output bin/gridos.cdx.json bin/gridos

.PHONY: manifests
manifests: ## Check what Argo CD syncs, without a cluster: seconds
	bin/lab manifests

.PHONY: verify
verify: ## Check all that needs no test run, the cheap checks first
	@unformatted=$$(gofmt -l $$(find . -name '*.go' -not -path './.lab/*')); \
		if [ -n "$$unformatted" ]; then echo "not formatted, run make fmt: $$unformatted" >&2; exit 1; fi
	@tierless=$$(grep -rnE '^func Test' --include='*_test.go' --exclude-dir=.lab . | grep -vE 'func Test((Unit|Engine|Cluster|Service)_|Main\()' || true); \
		if [ -n "$$tierless" ]; then echo "tests without a tier in their name (see CONTRIBUTING.md):" >&2; echo "$$tierless" >&2; exit 1; fi
	go mod tidy -diff
	$(IN_SRC) go mod tidy -diff
	go vet ./...
	$(IN_SRC) go vet ./...
	$(GOLANGCI_LINT) fmt --diff
	$(IN_SRC) $(SRC_LINT) fmt --diff --config ../.golangci.yml
	$(MAKE) --no-print-directory lint

.PHONY: clean
clean: ## Take the lab down and delete what was built in this checkout
	for environment in dev test prod; do bin/lab down -s $$environment; done
	rm -rf .lab bin coverage.*
