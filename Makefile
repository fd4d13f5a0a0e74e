# Targets need nothing but Go (see go.mod for the version) where they do not say what else.
GO ?= go
BIN := bin
IMAGE := tppfaas/collector:devel
PREWARM_IMAGE := tppfaas/prewarm:devel
DEMO := build/demo

.PHONY: all help build data models lab rightsize-results field action collector image prewarm-image chain prewarm-live demo rightsize-demo rightsize-picture testbins test race integration soak soak-chain fetch fetch-zipkin fetch-kafka fetch-serverless serverless fetch-python fetch-instrument lint bench-peers generate clean
all: build

help: ## these targets
	@sed -n 's/^\([a-z-]*\)\( [a-z-]*\)*:.*## /\1\t/p' Makefile | awk -F '\t' '{printf "  %-16s %s\n", $$1, $$2}'

# The action for an architecture, into a folder.
build-action = CGO_ENABLED=0 GOOS=linux GOARCH=$(1) $(GO) build -trimpath -ldflags "-s -w" -o "$(2)/action-linux-$(1)" ./apps/action/cmd/action
ARCHS := $(sort amd64 $(shell $(GO) env GOARCH))
build: ## the binaries, into bin/, with the action beside the sampler that deploys it
	CGO_ENABLED=0 $(GO) build -trimpath -o $(BIN)/ ./sampler/cmd/sampler ./tpp/cmd/tpp ./prewarm/cmd/prewarm ./rightsize/cmd/rightsize
	@$(foreach arch,$(ARCHS),$(call build-action,$(arch),$(BIN)) &&) true

action: ## the function that compositions deploy, zipped for the serverless.yaml files of apps/
	$(GO) run ./apps/action/cmd/pack

data: ## the datasets in data/, with the same bytes every time: some seconds
	$(GO) run ./bench/datasets -o data
	$(GO) run ./bench/usage -o data

models: ## the trained models in models/, with the same bytes every time on processors with AVX2: some minutes; ARGS=-changed goes on after Ctrl-C
	$(GO) run ./bench/models -o models $(ARGS)

lab: ## the tables of prewarm/RESULTS.md, anew: an hour of processor time; goes on after Ctrl-C; ARGS="-only Bursts" makes one
	$(GO) run ./bench/results prewarm/RESULTS.md $(ARGS)

rightsize-results: ## the tables of rightsize/RESULTS.md, anew: some minutes
	$(GO) run ./bench/results rightsize/RESULTS.md $(ARGS)

field: ## the tables of bench/field/RESULTS.md, anew: some minutes; goes on after Ctrl-C; public sets are read from ../shared/data/field
	@mkdir -p build
	$(GO) run ./bench/field -epochs 100 -into bench/field/RESULTS.md -keep build/field.jsonl $(ARGS)

collector: ## the collector, into bin/: some minutes the first time
	$(GO) build -o $(BIN)/ ./collector/cmd/collector

image: ## an image of the collector for amd64 and arm64, into build/collector.tar, without an engine: needs Debian's ca-certificates, or CERTIFICATES=FILE
	@mkdir -p build
	$(GO) run ./collector/deploy/image -name $(IMAGE) -o build/collector.tar $(if $(CERTIFICATES),-certificates "$(CERTIFICATES)")

prewarm-image: ## the same of the controller of prewarming, into build/prewarm.tar
	@mkdir -p build
	$(GO) run ./collector/deploy/image -program prewarm -name $(PREWARM_IMAGE) -o build/prewarm.tar $(if $(CERTIFICATES),-certificates "$(CERTIFICATES)")

chain: collector build ## sample tree_small through the whole chain on this machine, in real time
	$(GO) build -o $(BIN)/ ./sampler/cmd/chain
	@mkdir -p build
	$(BIN)/chain

prewarm-live: collector build ## the same requests without and with prewarming on this machine, in real time: twelve minutes; ARGS="-n 10 -every 5s -idle 2500ms -starts standalone" is shorter
	$(GO) build -o $(BIN)/ ./prewarm/cmd/live
	$(BIN)/live $(ARGS)

demo: build ## sample a composition, train on it, score, predict, draw: a minute
	@mkdir -p $(DEMO)
	$(BIN)/sampler -d tree_small -n 300 -l 2 -u 6 -r -seed 1 -o $(DEMO)/tree_small.json
	$(BIN)/tpp train $(DEMO)/tree_small.json -o $(DEMO)/tree_small.safetensors -seed 1 -budget 55s
	$(BIN)/tpp predict $(DEMO)/tree_small.safetensors $(DEMO)/tree_small.json -sequence 7
	$(BIN)/tpp plot $(DEMO)/tree_small.safetensors $(DEMO)/tree_small.json -sequence 7 -o $(DEMO)/tree_small.png
	@echo "A picture of that trace: $(DEMO)/tree_small.png"

rightsize-demo: build ## usage, forecasts, limits and their report, of the examples in data/ and of a function on this machine: a minute
	rightsize/demo.sh $(BIN)/rightsize build/rightsize

rightsize-picture: build ## docs/rightsize.png, the beginning of a report, anew: with Chromium
	$(BIN)/rightsize report data/usage_daily.csv.gz -o build/rightsize-picture.html
	chromium --headless --no-sandbox --hide-scrollbars --window-size=720,1210 --screenshot=docs/rightsize.png build/rightsize-picture.html

# The programs that tests start, built once; tests that are run by hand build them for themselves.
TESTBIN := $(CURDIR)/build/testbin
testbins:
	@mkdir -p "$(TESTBIN)"
	$(GO) build -buildvcs=false -ldflags "-s -w" -o "$(TESTBIN)/" ./tpp/cmd/tpp ./prewarm/cmd/prewarm ./rightsize/cmd/rightsize ./prewarm/cmd/live ./sampler/cmd/sampler ./sampler/cmd/chain ./collector/cmd/collector ./apps/action/cmd/action ./apps/action/cmd/pack
	$(GO) build -buildvcs=false -ldflags "-s -w" -o "$(TESTBIN)/examples-live" ./examples/live
	$(call build-action,$(shell $(GO) env GOARCH),$(TESTBIN))

# Tests are not vetted again: make lint does, with more of vet's checks. They wait as often as they compute, so that one package more than there are processors
# runs at a time; of those with real parts, which are slower then, as many as there are.
TEST = TPPFAAS_TESTBIN="$(TESTBIN)" $(GO) test -vet=off -timeout 30m
PACKAGES_AT_ONCE = $$(( $$(getconf _NPROCESSORS_ONLN) + 1 ))

test: testbins ## every test that needs nothing but Go
	$(TEST) -p $(PACKAGES_AT_ONCE) ./...

race: testbins ## the same under the race detector, but the few that compile, train or compute much
	$(TEST) -p $(PACKAGES_AT_ONCE) -race -short ./...

# Tests that need a real part stand in files named *_integration_test.go and are called TestIntegration…; internal/integration checks that.
INTEGRATION = $(sort $(dir $(shell find . \( -name .git -o -name build -o -name node_modules \) -prune -o -name "*_integration_test.go" -print)))
integration: testbins ## the tests that need a real part: Zipkin and Kafka (Java), the Serverless Framework (Node.js), JAX and OpenTelemetry (Python), Chromium, promtool; make fetch gets the first ones
	TPPFAAS_INTEGRATION=required $(TEST) -count=1 -tags integration -run '^TestIntegration' $(INTEGRATION)

soak: ## the collector under fire, in full: some four minutes
	$(GO) test ./collector/fire -soak -v -timeout 30m

soak-chain: ## the whole chain under load, each process killed in the middle: some twelve minutes, 10 GB of memory
	$(GO) test ./internal/chain -run Soak -soak 10m -rate 40 -v -timeout 30m

fetch: fetch-zipkin fetch-kafka fetch-serverless fetch-python fetch-instrument ## all real parts that make integration needs

fetch-zipkin: ## a Zipkin server, into the user's cache (131 MB, needs Java 17 to run)
	$(GO) run ./internal/zipkintest/fetch

fetch-kafka: ## a Kafka broker, into the user's cache (45 MB, needs Java 17 to run)
	$(GO) run ./internal/kafkatest/fetch

fetch-serverless serverless: ## the Serverless Framework with its plugin for OpenWhisk, into apps/ (258 MB, needs npm)
	cd apps && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error

PEERS := build/peers
fetch-python: ## JAX, and with TORCH=1 PyTorch (3.6 GB), into build/peers: needs Python 3.11 or later
	@test -x $(PEERS)/bin/python || python3 -m venv $(PEERS)
	$(PEERS)/bin/pip install --quiet -r bench/peers/requirements.txt $(if $(TORCH),torch==2.9.1)

# Packages for Python stand in a folder, as in the zip of a function.
INSTRUMENT := build/instrument
fetch-instrument: $(INSTRUMENT)/python/.fetched ## OpenTelemetry for Node.js and Python, for examples/instrument (7 MB, needs npm and Python 3.11)
	cd examples/instrument/node && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error

$(INSTRUMENT)/python/.fetched: examples/instrument/python/requirements.txt
	@test -x $(INSTRUMENT)/venv/bin/python || python3 -m venv $(INSTRUMENT)/venv
	rm -rf $(INSTRUMENT)/python
	$(INSTRUMENT)/venv/bin/pip install --quiet --no-compile --target $(INSTRUMENT)/python -r examples/instrument/python/requirements.txt
	@touch $@

lint: ## formatting, vet, staticcheck, functions that nothing calls
	@unformatted="$$(find . -name "*.go" -not -path "./build/*" -not -path "*/node_modules/*" | xargs gofmt -l)"; if [ -n "$$unformatted" ]; then echo "not gofmt-clean:"; echo "$$unformatted"; exit 1; fi
	$(GO) vet -tags integration ./...
	$(GO) tool staticcheck -tags integration ./...
	.ci/deadcode

bench-peers: fetch-python ## time the training against JAX, and with TORCH=1 against PyTorch (3.6 GB): needs Python 3.11 or later
	$(GO) run ./bench/peers -python $(PEERS)/bin/python $(ARGS)

generate: ## the generated sources, from their generators
	$(GO) generate ./...

clean:
	rm -rf $(BIN) build
