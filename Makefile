# Every target needs nothing but Go (see go.mod for the version).
GO ?= go
BIN := bin

.PHONY: all build demo test race lint generate clean
all: build

build: ## the binaries, into bin/
	$(GO) build -o $(BIN)/ ./sampler/cmd/sampler ./tpp/cmd/tpp

test: ## every test
	$(GO) test ./...

race: ## every test under the race detector
	$(GO) test -race ./...

lint: ## formatting, vet, staticcheck
	@unformatted="$$(gofmt -l .)"; if [ -n "$$unformatted" ]; then echo "not gofmt-clean:"; echo "$$unformatted"; exit 1; fi
	$(GO) vet ./...
	$(GO) tool staticcheck ./...

generate: ## the generated sources, from their generators
	$(GO) generate ./...

clean:
	rm -rf $(BIN) build
