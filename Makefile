# Every target needs nothing but Go (see go.mod for the version).
GO ?= go
BIN := bin
DEMO := build/demo

.PHONY: all build data action collector chain demo test race soak soak-chain serverless lint bench-peers fetch generate clean
all: build

ARCHS := $(sort amd64 $(shell $(GO) env GOARCH))
build: ## the binaries, into bin/, with the action beside the sampler that deploys it
	CGO_ENABLED=0 $(GO) build -o $(BIN)/ ./sampler/cmd/sampler ./tpp/cmd/tpp
	@$(foreach arch,$(ARCHS),CGO_ENABLED=0 GOOS=linux GOARCH=$(arch) $(GO) build -trimpath -ldflags "-s -w" -o $(BIN)/action-linux-$(arch) ./apps/action/cmd/action &&) true

action: ## the function that compositions deploy, zipped for the serverless.yaml files of apps/
	$(GO) run ./apps/action/cmd/pack

data: ## the datasets in data/, with the same bytes every time: some seconds
	$(GO) run ./bench/datasets -o data

collector: ## the collector, into bin/: some minutes the first time
	$(GO) build -o $(BIN)/ ./collector/cmd/collector

chain: collector build ## sample tree_small through the whole chain on this machine, in real time
	$(GO) build -o $(BIN)/ ./sampler/cmd/chain
	@mkdir -p build
	$(BIN)/chain

demo: build ## sample a composition, train on it, score, predict, draw: a minute
	@mkdir -p $(DEMO)
	$(BIN)/sampler -d tree_small -n 300 -l 2 -u 6 -r -seed 1 -o $(DEMO)/tree_small.json
	$(BIN)/tpp train $(DEMO)/tree_small.json -o $(DEMO)/tree_small.safetensors -seed 1 -budget 55s
	$(BIN)/tpp predict $(DEMO)/tree_small.safetensors $(DEMO)/tree_small.json -sequence 7
	$(BIN)/tpp plot $(DEMO)/tree_small.safetensors $(DEMO)/tree_small.json -sequence 7 -o $(DEMO)/tree_small.png
	@echo "A picture of that trace: $(DEMO)/tree_small.png"

test: ## every test
	$(GO) test ./...

race: ## every test under the race detector, but the few that compile for other machines
	$(GO) test -race -short ./...

soak: ## the collector under fire, in full: some four minutes
	$(GO) test ./collector/fire -soak -v -timeout 30m

soak-chain: ## the whole chain under load, each process killed in the middle: some twelve minutes, 10 GB of memory
	$(GO) test ./internal/chain -run Soak -soak 10m -rate 40 -v -timeout 30m

fetch: ## what tests run against if it is there: a real Zipkin server (131 MB, needs Java 17)
	$(GO) run ./internal/zipkintest/fetch

serverless: ## the Serverless Framework with its plugin for OpenWhisk, into apps/ (258 MB, needs npm)
	cd apps && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error

lint: ## formatting, vet, staticcheck
	@unformatted="$$(find . -name "*.go" -not -path "./build/*" -not -path "*/node_modules/*" | xargs gofmt -l)"; if [ -n "$$unformatted" ]; then echo "not gofmt-clean:"; echo "$$unformatted"; exit 1; fi
	$(GO) vet ./...
	$(GO) tool staticcheck ./...

PEERS := build/peers
bench-peers: ## time the training against JAX, and with TORCH=1 against PyTorch (3.6 GB): needs Python 3.11 or later
	@test -x $(PEERS)/bin/python || python3 -m venv $(PEERS)
	$(PEERS)/bin/pip install --quiet -r bench/peers/requirements.txt $(if $(TORCH),torch==2.9.1)
	$(GO) run ./bench/peers -python $(PEERS)/bin/python $(ARGS)

generate: ## the generated sources, from their generators
	$(GO) generate ./...

clean:
	rm -rf $(BIN) build
