# make            builds build/bin/{dispatcher,agent,dispatchctl,worker_monitor}
# make demo       installs what is missing, builds, shows the whole job
# make demo-postgres   the same documents on a PostgreSQL of its own
# make test       every test: unit, sim, system, fuzz; plain and sanitized
# make lint       clang-format, clang-tidy, cppcheck
# make bench      figures, as ratios against this machine's own limits
# make install    DESTDIR= PREFIX=/usr/local
# make deps       installs missing Debian packages (sudo when not root)
# make clean
#
# SAN=address,undefined builds the same under sanitizers into build/SAN;
# CC=clang builds into build/clang. CI=true turns warnings into errors.

.DEFAULT_GOAL := all
VERSION  := 0.1.0
PREFIX   ?= /usr/local
ifeq ($(origin CC),default)
CC       := gcc
endif
comma    := ,
BUILD    := build$(if $(findstring clang,$(CC)),/clang)$(if $(SAN),/$(subst $(comma),-,$(SAN)))
CFLAGS   ?= -O2 -g
WARN     := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wformat=2 \
            -Wstrict-prototypes -Wmissing-prototypes -Wcast-qual -Wwrite-strings \
            -Wundef -Wvla -Wimplicit-fallthrough $(if $(CI),-Werror)
HARDEN   := -fstack-protector-strong -fno-omit-frame-pointer -fPIE
SANFLAGS := $(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all)
ALL_CFLAGS = -std=gnu17 -D_GNU_SOURCE -DDISPATCH_VERSION='"$(VERSION)"' $(WARN) $(HARDEN) \
             $(CFLAGS) $(SANFLAGS) -I. -MMD -MP

# ---- archives: one a folder, wire its own; the order is the arrows ----------
objs      = $(patsubst %.c,$(BUILD)/%.o,$(filter-out $(1)/main_%.c,$(sort $(wildcard $(1)/*.c))))
POLICY   := $(BUILD)/libpolicy.a
POOLS    := $(BUILD)/libpools.a
WIRE     := $(BUILD)/libwire.a
AGENTS   := $(BUILD)/libagents.a
DISPATCH := $(BUILD)/libdispatch.a

POLICY_LIBS   := -ljansson
POOLS_LIBS    := -llmdb -lmsgpackc $(POLICY_LIBS)
WIRE_LIBS     := -lmsgpackc
AGENTS_LIBS   := -lzmq -lcurl -ljansson -lcyaml -lyaml -lsqlite3 -lpq -lgmp -lz -lcrypto -lm $(WIRE_LIBS)
DISPATCH_LIBS := -lm -lzmq -lmicrohttpd -lcyaml -lyaml -lcurl -lsodium $(WIRE_LIBS) $(POOLS_LIBS)

BIN      := $(addprefix $(BUILD)/bin/,dispatcher agent dispatchctl worker_monitor)
all: $(BIN)

$(POLICY):   $(call objs,policy)
$(POOLS):    $(call objs,pools)
$(WIRE):     $(BUILD)/agents/wire.o
$(AGENTS):   $(filter-out $(BUILD)/agents/wire.o,$(call objs,agents))
$(DISPATCH): $(call objs,dispatcher)

$(BUILD)/%.a:
	@rm -f $@
	$(AR) rcs $@ $^

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -c $< -o $@

LINK = @mkdir -p $(@D); $(CC) -pie $(SANFLAGS) $(LDFLAGS) $^ $(LIBS) -lpthread -o $@
$(BUILD)/bin/dispatcher:     LIBS := $(DISPATCH_LIBS)
$(BUILD)/bin/dispatcher:     $(BUILD)/dispatcher/main_dispatcher.o $(DISPATCH) $(POOLS) $(POLICY) $(WIRE)
$(BUILD)/bin/dispatchctl:    LIBS := $(DISPATCH_LIBS)
$(BUILD)/bin/dispatchctl:    $(BUILD)/dispatcher/main_ctl.o $(DISPATCH) $(POOLS) $(POLICY) $(WIRE)
$(BUILD)/bin/worker_monitor: LIBS := $(DISPATCH_LIBS)
$(BUILD)/bin/worker_monitor: $(BUILD)/dispatcher/main_monitor.o $(DISPATCH) $(POOLS) $(POLICY) $(WIRE)
$(BUILD)/bin/agent:          LIBS := $(AGENTS_LIBS)
$(BUILD)/bin/agent:          $(BUILD)/agents/main_agent.o $(AGENTS) $(WIRE)
$(BIN):
	$(LINK)

install: all
	install -d $(DESTDIR)$(PREFIX)/bin
	install -m 755 $(BIN) $(DESTDIR)$(PREFIX)/bin

# ---- what must be installed --------------------------------------------------
# Found by pkg-config or by name, so that nothing is asked of apt when all is there.
PKGS     := libzmq lmdb msgpack libcurl libmicrohttpd jansson libcyaml yaml-0.1 libsodium cmocka \
            sqlite3 libpq gmp zlib libcrypto
DEB_MAIN := gcc pkg-config python3 libc6-dev libzmq3-dev liblmdb-dev libmsgpack-dev \
            libcurl4-openssl-dev libmicrohttpd-dev libjansson-dev libcyaml-dev libyaml-dev libsodium-dev \
            libcmocka-dev libsqlite3-dev libpq-dev libgmp-dev zlib1g-dev libssl-dev
DEB_TEST := clang libclang-rt-14-dev
DEB_LINT := clang-format clang-tidy cppcheck
SUDO     := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
APT       = $(SUDO) apt-get update -qq && $(SUDO) env DEBIAN_FRONTEND=noninteractive \
            apt-get install -y -qq --no-install-recommends

# In dash, command -v looks at its first word only.
have      = $(foreach c,$(1),command -v $(c) >/dev/null &&) true
deps:
	@{ $(call have,gcc pkg-config python3) && pkg-config --exists $(PKGS); } || \
	 { echo "installing: $(DEB_MAIN)"; $(APT) $(DEB_MAIN) >/dev/null; }
deps-postgres:
	@ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || \
	 { echo "installing: postgresql"; $(APT) postgresql >/dev/null; }
deps-test: deps deps-postgres
	@{ $(call have,clang) && ls /usr/lib/llvm-*/lib/clang/*/lib/linux/libclang_rt.fuzzer-*.a >/dev/null 2>&1; } || \
	 { echo "installing: $(DEB_TEST)"; $(APT) $(DEB_TEST) >/dev/null; }
deps-lint: deps-test
	@{ $(call have,clang-format clang-tidy cppcheck); } || \
	 { echo "installing: $(DEB_LINT)"; $(APT) $(DEB_LINT) >/dev/null; }

# A recursive make, so that what deps installed is seen.
demo: deps
	@$(MAKE) --no-print-directory -s -j2 all
	@BIN=$(BUILD)/bin tests/demo.sh

demo-postgres: deps deps-postgres
	@$(MAKE) --no-print-directory -s -j2 all
	@BIN=$(BUILD)/bin tests/demo_postgres.sh

# ---- tests: each program prints TAP; tests/run.py runs all and counts --------
# A unit test links its own folder's archive and those below it, nothing else,
# so a call that points the wrong way does not link.
UNIT_POLICY   := workflow workflow_% expr_parse features classify route retry text
UNIT_POOLS    := store run line timer index history ledger ledger_%
UNIT_WIRE     := wire
UNIT_DISPATCH := sizes config config_units log exchange api api_submit client auth http
UNITS         := $(patsubst tests/unit/test_%.c,%,$(sort $(wildcard tests/unit/test_*.c)))
UNIT_AGENTS   := $(filter-out $(UNIT_POLICY) $(UNIT_POOLS) $(UNIT_WIRE) $(UNIT_DISPATCH),$(UNITS))
UNIT_BIN      := $(UNITS:%=$(BUILD)/tests/test_%)
unit_bin       = $(patsubst %,$(BUILD)/tests/test_%,$(filter $(1),$(UNITS)))
$(call unit_bin,$(UNIT_POLICY)):   LIBS := -lcmocka $(POLICY_LIBS)
$(call unit_bin,$(UNIT_POLICY)):   $(POLICY)
$(call unit_bin,$(UNIT_POOLS)):    LIBS := -lcmocka $(POOLS_LIBS)
$(call unit_bin,$(UNIT_POOLS)):    $(POOLS) $(POLICY)
$(call unit_bin,$(UNIT_WIRE)):     LIBS := -lcmocka $(WIRE_LIBS)
$(call unit_bin,$(UNIT_WIRE)):     $(WIRE)
$(call unit_bin,$(UNIT_AGENTS)):   LIBS := -lcmocka $(AGENTS_LIBS)
$(call unit_bin,$(UNIT_AGENTS)):   $(AGENTS) $(WIRE)
$(call unit_bin,$(UNIT_DISPATCH)): LIBS := -lcmocka $(DISPATCH_LIBS)
$(call unit_bin,$(UNIT_DISPATCH)): $(DISPATCH) $(POOLS) $(POLICY) $(WIRE)
$(UNIT_BIN): $(BUILD)/tests/%: $(BUILD)/tests/unit/%.o
	$(LINK)

SIM := $(BUILD)/tests/simulator
$(SIM): LIBS := $(POOLS_LIBS)
$(SIM): $(patsubst %.c,$(BUILD)/%.o,$(sort $(wildcard tests/sim/*.c))) $(POOLS) $(POLICY)
	$(LINK)

# Fuzzers: clang, both sanitizers, objects of their own. Those of the agent link
# the agent's archive, the others what they need of the other rooms.
FUZZ_NAMES  := $(patsubst tests/fuzz/fuzz_%.c,%,$(sort $(wildcard tests/fuzz/fuzz_*.c)))
FUZZ_AGENTS := csv jsonl tree
FUZZ_BIN    := $(FUZZ_NAMES:%=build/fuzz/fuzz_%)
fuzz_objs    = $(patsubst %.c,build/fuzz/%.o,$(filter-out %/main_agent.c,$(1)))
fuzz_bin     = $(patsubst %,build/fuzz/fuzz_%,$(filter $(1),$(FUZZ_NAMES)))
build/fuzz/%.o: %.c
	@mkdir -p $(@D)
	clang $(filter-out -fPIE,$(ALL_CFLAGS)) -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -c $< -o $@
$(call fuzz_bin,$(FUZZ_AGENTS)): $(call fuzz_objs,$(wildcard agents/*.c))
$(call fuzz_bin,$(filter-out $(FUZZ_AGENTS),$(FUZZ_NAMES))): \
  $(call fuzz_objs,$(wildcard policy/*.c) pools/run.c pools/record.c pools/packed.c agents/wire.c)
$(FUZZ_BIN): build/fuzz/fuzz_%: build/fuzz/tests/fuzz/fuzz_%.o
	clang -fsanitize=fuzzer,address,undefined $^ $(AGENTS_LIBS) -o $@

SANITIZED := SAN=address,undefined
test: deps-test
	@$(MAKE) --no-print-directory -j2 all test-programs fuzzers
	@$(MAKE) --no-print-directory -j2 $(SANITIZED) all test-programs
	@$(MAKE) --no-print-directory -j2 CC=clang all
	@python3 tests/run.py
test-programs: $(UNIT_BIN) $(SIM)
fuzzers: $(FUZZ_BIN)
sim: deps
	@$(MAKE) --no-print-directory -j2 $(SIM)
	$(SIM) --seeds $(or $(SEEDS),100)

BENCH := $(BUILD)/bench/bench
$(BENCH): LIBS := -lcurl -lzmq -llmdb $(POLICY_LIBS) $(WIRE_LIBS)
$(BENCH): $(BUILD)/bench/bench.o $(POLICY) $(WIRE)
	$(LINK)
bench: deps deps-postgres
	@$(MAKE) --no-print-directory -s -j2 all $(BENCH)
	@$(BENCH) $(BUILD)/bin
	@command -v sqlite3 >/dev/null || { echo "installing: sqlite3"; $(APT) sqlite3 >/dev/null; }
	@python3 bench/data.py $(BUILD)/bin

SRC := $(sort $(wildcard policy/*.[ch] pools/*.[ch] agents/*.[ch] dispatcher/*.[ch] bench/*.[ch] tests/*/*.[ch]))
LINTED := $(filter %.c,$(filter-out tests/%,$(SRC)))
# clang-tidy prints a line for each file it finds fault with; what it says is in
# build/lint. varFuncNullUB: POSIX has NULL as (void *)0, so that it may end the
# fields of log_event().
lint: deps-lint
	@mkdir -p build/lint
	@clang-format --dry-run -Werror $(SRC)
	@printf '%s\n' $(LINTED) | xargs -P2 -I@ sh -c 'out=build/lint/$$(echo @ | tr / -).txt; \
	  clang-tidy --quiet @ -- -std=gnu17 -D_GNU_SOURCE -DDISPATCH_VERSION=\"$(VERSION)\" -I. >$$out 2>&1 || \
	  { echo "clang-tidy: @: see $$out"; exit 1; }'
	@cppcheck --quiet --std=c11 --enable=warning,performance,portability --inline-suppr \
	          --suppress=varFuncNullUB --error-exitcode=1 -j2 -I. $(LINTED)

clean:
	rm -rf build

.PHONY: all install deps deps-postgres deps-test deps-lint demo demo-postgres test test-programs fuzzers sim bench lint clean
.PRECIOUS: $(BUILD)/%.o
-include $(shell find build -name '*.d' 2>/dev/null)
