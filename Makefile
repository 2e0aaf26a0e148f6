# The only door: what a person types and what CI runs are the same targets.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules --no-print-directory

CARGO ?= cargo
# In CI the lock file is law; at a desk cargo may add what a new dependency needs.
LOCKED := $(if $(CI),--locked)
# Selvedge itself takes part in the benchmarks only with this feature.
WITH_SELVEDGE := --features selvedge-benches/selvedge

# make demo DEMO_SECONDS=3 DEMO_ARGS='--workers 1'
DEMO_SECONDS ?= 10
DEMO_ARGS ?=
# make serve SERVE_ARGS='--listen 127.0.0.1:9000'
SERVE_ARGS ?=
# make digest DIGEST_PATHS='src "my documents"' DIGEST_ARGS='--workers 1'
DIGEST_PATHS ?=
DIGEST_ARGS ?=
# make test TEST_ARGS=name_of_a_test
TEST_ARGS ?=
# make conformance-record CONFORMANCE_ARGS=--accept
CONFORMANCE_ARGS ?=
# make bench BENCH_ARGS=spawning; make bench-rivals RIVALS_ARGS='--workers 1,2 --rounds 9'; make bench-http HTTP_ARGS='--rows echo'
BENCH_ARGS ?=
RIVALS_ARGS ?=
HTTP_ARGS ?=
# make bench-peers PEERS_ARGS='--only rayon,Selvedge --rows mixed'
PEERS_ARGS ?=
# make bench-scale SCALE_ARGS='--rows callback'
SCALE_ARGS ?=
# make loom LOOM_ARGS=wake_while_running
LOOM_ARGS ?=
# make stress STRESS_SECONDS=600 STRESS_ARGS='--seed 7 --only wakes'
STRESS_ARGS ?=

.PHONY: help
help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: fmt
fmt: ## Format the code
	$(CARGO) fmt --all

.PHONY: lint
lint: ## Check the format; clippy, with every warning an error
	$(CARGO) fmt --all --check
	$(CARGO) clippy $(LOCKED) --workspace --all-targets --all-features -- -D warnings

.PHONY: test
test: ## All tests, doctests included (with nextest where it is installed)
	@if $(CARGO) nextest --version >/dev/null 2>&1; then \
	  set -x; $(CARGO) nextest run $(LOCKED) --workspace --no-tests pass $(TEST_ARGS); \
	else \
	  set -x; $(CARGO) test $(LOCKED) --workspace --tests $(TEST_ARGS); \
	fi
	$(CARGO) test $(LOCKED) --workspace --doc $(TEST_ARGS)

.PHONY: conformance-record
conformance-record: ## Record anew what CPython does; CONFORMANCE_ARGS=--accept where it may differ
	python3 -B tests/conformance/record.py $(CONFORMANCE_ARGS)

.PHONY: doc
doc: ## The documentation, with every warning an error
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc $(LOCKED) --workspace --no-deps --all-features

.PHONY: msrv
msrv: ## Do the published crates build on the oldest Rust that they promise? (Where such a compiler is installed)
	.ci/msrv

.PHONY: demo
demo: ## A server that computes, and a crowd that asks it, for DEMO_SECONDS (10): rates, latencies, a plot, a picture
	$(CARGO) run $(LOCKED) --release --quiet -p selvedge-tiles -- demo --seconds $(DEMO_SECONDS) $(DEMO_ARGS)

.PHONY: serve
serve: ## The same server for your browser: http://127.0.0.1:8080/; SERVE_ARGS='--listen 127.0.0.1:9000'
	$(CARGO) run $(LOCKED) --release --quiet -p selvedge-tiles -- serve $(SERVE_ARGS)

.PHONY: digest
digest: ## Digest the repository, or DIGEST_PATHS, on every core; DIGEST_ARGS='--workers 1' and the like
	$(CARGO) run $(LOCKED) --release --quiet -p selvedge-digest -- $(DIGEST_ARGS) $(DIGEST_PATHS)

.PHONY: demo-smoke
demo-smoke: ## Do both programs run? Briefly
	$(MAKE) demo DEMO_SECONDS=3
	$(MAKE) digest

.PHONY: bench
bench: ## The criterion benchmarks; BENCH_ARGS=FILTER
	$(CARGO) bench $(LOCKED) --workspace $(WITH_SELVEDGE) --bench '*' -- $(BENCH_ARGS)

.PHONY: bench-rivals
bench-rivals: ## One table of Selvedge beside its rivals; RIVALS_ARGS=--help
	$(CARGO) run $(LOCKED) --release -p selvedge-benches $(WITH_SELVEDGE) --bin rivals -- $(RIVALS_ARGS)

.PHONY: bench-http
bench-http: ## One table of sockets and HTTP, Selvedge beside its rivals; HTTP_ARGS=--help
	$(CARGO) run $(LOCKED) --release -p selvedge-benches $(WITH_SELVEDGE) --bin http -- $(HTTP_ARGS)

.PHONY: bench-peers
bench-peers: ## A server that computes, beside tokio with spawn_blocking, rayon, a second runtime; PEERS_ARGS=--help
	$(CARGO) run $(LOCKED) --release -p selvedge-benches $(WITH_SELVEDGE) --bin peers -- $(PEERS_ARGS)

# The allocator keeps what is freed: fetched anew from the system, much memory costs more than little, whoever uses it.
KEEP_MEMORY := MALLOC_ARENA_MAX=1 MALLOC_MMAP_THRESHOLD_=1073741824 MALLOC_TRIM_THRESHOLD_=4294967296 MALLOC_TOP_PAD_=67108864

.PHONY: bench-scale
bench-scale: ## Does each of 160,000 waiters cost what each of 10,000 does? Fails if not; SCALE_ARGS=--help
	$(KEEP_MEMORY) $(CARGO) run $(LOCKED) --release -p selvedge-benches $(WITH_SELVEDGE) --bin scale -- $(SCALE_ARGS)

.PHONY: bench-smoke
bench-smoke: ## Do the benchmarks still run? Each once, unmeasured
	$(CARGO) test $(LOCKED) --workspace $(WITH_SELVEDGE) --bench '*'
	$(MAKE) bench-rivals RIVALS_ARGS='--quick --rounds 1'
	$(MAKE) bench-http HTTP_ARGS='--quick --rounds 1'
	$(MAKE) bench-peers PEERS_ARGS='--quick --rounds 1'
	$(MAKE) bench-scale SCALE_ARGS='--quick'

# A target folder of its own: the flag would otherwise rebuild everything at every change between loom and the rest.
.PHONY: loom
loom: ## Model-check the protocols; LOOM_ARGS=FILTER
	RUSTFLAGS="$${RUSTFLAGS:-} --cfg selvedge_loom" CARGO_TARGET_DIR=target-loom \
	  $(CARGO) run $(LOCKED) --release --quiet -p selvedge-loom-tests -- $(LOOM_ARGS)

.PHONY: loom-deep
loom-deep: ## The same with wider bounds, for by hand: takes minutes; LOOM_ARGS=FILTER
	$(MAKE) loom LOOM_ARGS='--deep $(LOOM_ARGS)'

# These need no models, and work where the models do not compile.
.PHONY: faults-edit
faults-edit: ## Copy the workspace, with the faults that the models must find, to target-faults/faulty
	$(CARGO) run $(LOCKED) --quiet -p selvedge-loom-tests -- faults-edit

.PHONY: faults-save
faults-save: ## Write the faults in target-faults/faulty back to loom-tests/faults
	$(CARGO) run $(LOCKED) --quiet -p selvedge-loom-tests -- faults-save

.PHONY: test-depth
test-depth: ## What is nested a hundred thousand deep, in release, on stacks of 2 MiB
	RUST_MIN_STACK=2097152 $(CARGO) test $(LOCKED) --release -p selvedge-tests --test depth

.PHONY: stress
stress: ## Stampedes for two minutes or STRESS_SECONDS; STRESS_ARGS='--seed 7 --only wakes'
	$(CARGO) run $(LOCKED) --release --quiet -p selvedge-tests --bin stress -- $(STRESS_ARGS)

.PHONY: stress-smoke
stress-smoke: ## The same for half a minute
	STRESS_SECONDS=$${STRESS_SECONDS:-30} $(MAKE) stress

# Sanitizers are an unstable option of the stable compiler, hence RUSTC_BOOTSTRAP, and need a target that is named. Each has a target folder
# of its own. SANITIZE_ARGS selects tests. The library has no frame
# pointers: without the slow unwinder a suppression would not find its function. What panics print is not captured under ThreadSanitizer, and
# without backtraces: what the standard library keeps for both lies under locks that are not seen.
SANITIZED := -p selvedge-timer-wheel -p selvedge-scheduler -p selvedge -p selvedge-tests
SANITIZE_ARGS ?=
SUPPRESSIONS := $(CURDIR)/tests/sanitizers
sanitize = RUSTC_BOOTSTRAP=1 RUSTFLAGS="$${RUSTFLAGS:-} --cfg selvedge_sanitize $(2)" CARGO_TARGET_DIR=target-$(1) \
	  $(CARGO) test $(LOCKED) --target x86_64-unknown-linux-gnu $(SANITIZED) --tests --no-fail-fast $(SANITIZE_ARGS)

.PHONY: tsan
tsan: ## All tests under ThreadSanitizer, for by hand: takes minutes; SANITIZE_ARGS='--test lifecycles'
	RUST_BACKTRACE=0 RUST_TEST_NOCAPTURE=1 TSAN_OPTIONS="suppressions=$(SUPPRESSIONS)/tsan.supp" \
	  $(call sanitize,tsan,--cfg selvedge_tsan -Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer)

.PHONY: asan
asan: ## All tests under AddressSanitizer, with leaks; SANITIZE_ARGS='--test lifecycles'
	ASAN_OPTIONS=detect_leaks=1 LSAN_OPTIONS="suppressions=$(SUPPRESSIONS)/lsan.supp fast_unwind_on_malloc=0" \
	  $(call sanitize,asan,--cfg selvedge_asan -Zsanitizer=address)

.PHONY: lsan
lsan: ## All tests under LeakSanitizer; SANITIZE_ARGS='--test lifecycles'
	LSAN_OPTIONS="suppressions=$(SUPPRESSIONS)/lsan.supp fast_unwind_on_malloc=0" \
	  $(call sanitize,lsan,-Zsanitizer=leak)

.PHONY: deny
deny: ## Licences, sources and bans of the dependencies (where cargo-deny is installed)
	@if $(CARGO) deny --version >/dev/null 2>&1; then \
	  set -x; $(CARGO) deny --offline --all-features check bans licenses sources; \
	else \
	  echo "cargo-deny is not installed: skipped"; \
	fi

.PHONY: fuzz-check
fuzz-check: ## Do the fuzz targets still compile? (Needs a C++ compiler, so CI does without)
	@for manifest in $(wildcard crates/*/fuzz/Cargo.toml fuzz/Cargo.toml); do \
	  (set -x; $(CARGO) check --manifest-path "$$manifest" --target-dir target/fuzz); \
	done

# The tests of each package are few here, those that are quick and near to the code: what they miss, the others may still find.
MUTANTS := target/mutants
mutate = $(CARGO) mutants --jobs 1 --timeout 30 --minimum-test-timeout 30 --cap-lints true --output $(MUTANTS)/$(1) \
	  $(foreach file,$(2),--file '$(file)') $(foreach arg,--lib $(3),--cargo-arg=$(arg)) || true

.PHONY: mutants
mutants: ## Which mistakes would no test notice in task state, idle, timers, wheel? For by hand: takes half an hour
	@$(CARGO) mutants --version >/dev/null 2>&1 || { echo "cargo-mutants is not installed: cargo install cargo-mutants --locked"; exit 1; }
	mkdir -p $(MUTANTS)
	$(call mutate,state,crates/scheduler/src/task/state.rs)
	$(call mutate,idle,crates/scheduler/src/idle.rs)
	$(call mutate,timers,crates/scheduler/src/timers.rs,--test=timers --test=orphaned_timers --test=known_bugs)
	CARGO_PROFILE_DEV_OPT_LEVEL=1 CARGO_PROFILE_TEST_OPT_LEVEL=1 \
	  $(call mutate,wheel,crates/timer-wheel/src/*.rs,--test=against_model --test=regressions --test=reserved)
	@echo "== Not noticed; docs/testing.md says of which that is known"
	@cat $(MUTANTS)/*/mutants.out/missed.txt

# In the order in which a mistake shows soonest.
CI_STEPS := lint test test-depth doc msrv demo-smoke loom stress-smoke asan deny bench-smoke

.PHONY: ci
ci: ## All that CI checks, and how long each step takes
	@for step in $(CI_STEPS); do \
	  echo "== $$step"; SECONDS=0; \
	  $(MAKE) "$$step"; \
	  echo "== $$step: $${SECONDS} s"; \
	done

.PHONY: clean
clean: ## Remove everything that was built
	$(CARGO) clean
	rm -rf target-*
