# Needs Go, make, gcc, and npm (once, for the embedded ClickHouse engine); test-kafka and chaos need Java 17 and Maven (once, for Apache Kafka).
MODULES  := schemas collector processor sink deploy benchmarks
BINARIES := gpumeter gpumeter-collector gpumeter-processor gpumeter-sink
PACKAGES := $(MODULES:%=./%/...)
# Pure and small packages, which the race detector can afford.
RACE     := ./schemas/... ./collector/... ./processor/...
FUZZTIME ?= 10s
KAFKA    ?= real
GOLANGCI := go run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
export CGO_ENABLED ?= 1

.DEFAULT_GOAL := help
.PHONY: help build demo test test-kafka simulate race lint bench quality chaos fuzz generate tidy clean

help: ## what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## the binaries, into bin/
	@mkdir -p bin
	go build -o bin/ ./deploy/cmd/... ./collector/cmd/... ./processor/cmd/... ./sink/cmd/...

demo: ## a fleet's money live, in one process: make demo ARGS="--for 60s --speed 60 --seed 7"
	@mkdir -p bin
	go build -o bin/ ./deploy/cmd/gpumeter
	bin/gpumeter demo $(ARGS)

test: ## every test
	go test -timeout 40m $(PACKAGES)
	go test -tags synctests -timeout 20m ./deploy/simulation/

# In virtual time: see deploy/simulation/doc.go.
SIMULATE := SEED SEEDS HOURS NODES GPUS LOG CONTROL
SEEDS    ?= 1
simulate: ## long runs in virtual time: make simulate SEEDS=3 HOURS=24 NODES=100, SEED=n to repeat one; CONTROL=all must be caught
	$(foreach v,$(SIMULATE),$(if $($(v)),GPUMETER_SIMULATE_$(v)=$($(v)))) \
	  go test -tags synctests -v -count 1 -timeout 0 -run '$(if $(CONTROL),TestControlsAreCaught,TestLong)' ./deploy/simulation/

test-kafka: ## what needs real Apache Kafka brokers; KAFKA=full takes its full time, half an hour
	GPUMETER_KAFKA=$(KAFKA) go test -timeout 40m -count 1 ./deploy/kafka/... ./deploy/failover/...

race: ## the unit tests under the race detector
	go test -race -short -timeout 40m $(RACE)

lint: ## vet and golangci-lint, every module
	go vet $(PACKAGES)
	@for m in $(MODULES); do echo "lint $$m"; (cd $$m && $(GOLANGCI) run --config ../.golangci.yml ./...) || exit 1; done

bench: ## throughput, bytes per row, and what they are measured beside
	go run ./benchmarks/bytes
	go run ./benchmarks/engine
	go run ./benchmarks/sink
	go run ./benchmarks/agent

quality: ## precision and recall of idle alerts on fleets whose truth is known; fails below the goal
	go run ./benchmarks/quality

N       ?= 5
SEED    ?= 1
RESULTS ?= benchmarks/chaos.tsv
chaos: ## kill, freeze and cut off a real pipeline (Java, Maven): make chaos N=60 SEED=1, or CONTROL=uncommitted
	go run ./benchmarks/chaos -n $(N) -seed $(SEED) -results "$(RESULTS)" -control "$(CONTROL)"

fuzz: ## each fuzz target for FUZZTIME
	@for pkg in $$(go list $(PACKAGES)); do \
	  for target in $$(go test -list '^Fuzz' $$pkg | grep '^Fuzz'); do \
	    echo "$$pkg $$target"; go test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 2s $$pkg || exit 1; \
	  done; done

generate: ## docs and golden files that follow from the declarations
	go generate $(PACKAGES)

tidy: ## go.mod and go.sum of every module
	@for m in $(MODULES); do (cd $$m && GOWORK=off go mod tidy) || exit 1; done

clean: ## what make made
	rm -rf bin
