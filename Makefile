# huis. `make run` starts a server to try; `make test` is what CI runs.

GO      ?= go
DATA    ?= huis-data
VERSION ?= $(shell git describe --always --dirty 2>/dev/null || echo unknown)
LDFLAGS := -s -w -X main.version=$(VERSION)
export CGO_ENABLED ?= 0
# The core for browsers is compiled for size, but for what has to be fast, and
# without the curves of NIST; cmd/huis-wasm/_std says why.
COREFLAGS := -overlay bin/overlay.json -gcflags=all=-l $(foreach p,crypto/... vendor/golang.org/x/crypto/... golang.org/x/crypto/... \
	filippo.io/... math/... internal/runtime/... runtime,-gcflags=$(p)=)
NIST := crypto/internal/fips140/ecdh

.PHONY: run build core release check-release check-web test check attack sim soak bench bench-web vectors setup clean

run: build ## build, start a server on 127.0.0.1, print an invitation
	./bin/huis serve --data $(DATA)

build: setup core ## bin/huis, one static binary
	$(GO) build -trimpath -buildvcs=false -ldflags '$(LDFLAGS)' -o bin/huis ./cmd/huis

core: ## the core for browsers, which bin/huis embeds; without Node
	@mkdir -p bin
	@printf '{"Replace":{"%s/ecdh.go":"cmd/huis-wasm/_std/ecdh.go","%s/cast.go":""}}\n' \
		"$$($(GO) env GOROOT)/src/$(NIST)" "$$($(GO) env GOROOT)/src/$(NIST)" >bin/overlay.json
	GOOS=js GOARCH=wasm $(GO) build -trimpath -buildvcs=false -ldflags '-s -w' $(COREFLAGS) -o bin/core.wasm ./cmd/huis-wasm
	@$(GO) run ./web/pack bin/core.wasm web/core

release: setup ## bin/release: programs for all platforms, sums; VERSION=v1.0 KEY=FILE RELEASE_KEY=… signs (docs/operating.md)
	scripts/release

check-release: setup ## the release twice, in two folders: the same bytes? PLATFORMS=all for every platform
	scripts/check-release

check-web: setup ## web/dist and the core once more from source: the same bytes?
	scripts/check-web

test: setup ## everything CI checks (about ten minutes on two cores)
	scripts/test

check: setup ## the quick part of `make test`: format, vet, house rules, unit tests
	scripts/test quick

attack: setup ## the malicious operator against real clients; LONG=1 also what takes long, NAME=B-20 only that
	$(GO) run -tags evil ./cmd/huis attack $(NAME) $(if $(LONG),--long)

sim: setup ## the long simulation; SEED=n repeats a run, RUNS=n sets the seeds per scenario
	$(GO) test ./internal/sim -run 'TestSim' -count=1 -timeout 0 -v -args -long $(if $(SEED),-seed=$(SEED)) $(if $(RUNS),-runs=$(RUNS))

soak: build ## 1,000 messages, 20 attachments (one of 1 GiB), kill -9 every few seconds; writes docs/soak.md
	$(GO) test ./internal/e2e -run 'TestSoak' -count=1 -timeout 0 -v -args -huis $(CURDIR)/bin/huis -long -report $(CURDIR)/docs/soak.md

bench: setup ## the figures of bench/; those of MLS and of the log go to docs/ and take long
	$(GO) test ./bench/server ./bench/delivery -run '^$$' -bench . -benchtime 1x -timeout 0 -v
	$(GO) test ./bench/kt -run TestReport -count=1 -timeout 0 -v -args -report $(CURDIR)/docs/transparency.md -accounts 10000000
	$(GO) test ./bench/mls -run TestReport -count=1 -timeout 0 -v -args -report $(CURDIR)/docs/benchmarks.md

bench-web: build ## the figures of the web app in Chromium, to docs/web-benchmarks.md; half an hour and npm ci in web before
	COREFLAGS='$(COREFLAGS)' GO='$(GO)' node bench/web/run.mjs $(if $(PEOPLE),$(PEOPLE) $(MESSAGES))

setup: ## says what is missing on this machine, and how to get it
	@scripts/setup --check

clean:
	rm -rf bin
