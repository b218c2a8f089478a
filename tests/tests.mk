# Tests. A unit test is one file tests/unit/<module>_<topic>.c with TEST() cases; it links the libraries of its
# module and of those below. Every runner prints TAP; tests/run.sh sums them up.

UNIT_SRC  := $(sort $(wildcard tests/unit/*_*.c))
UNIT_BIN  := $(patsubst tests/unit/%.c,$(B)/unit/%,$(UNIT_SRC))
MODEL_SRC := $(sort $(wildcard tests/models/*_*.c))
MODEL_BIN := $(patsubst tests/models/%.c,$(B)/models/%,$(MODEL_SRC))
FUZZ_SRC  := $(sort $(wildcard tests/fuzz/fuzz_*.c))
FUZZ_NAMES := $(patsubst tests/fuzz/fuzz_%.c,%,$(FUZZ_SRC))
REPLAY_BIN := $(patsubst %,$(B)/replay/%,$(FUZZ_NAMES))

# The libraries in link order: upper modules first. A test of module M links everything; --as-needed and static
# archives keep only what it uses.
TEST_LIBS := $(call lib,$(filter-out worker cli,$(filter $(foreach m,$(MODULES),$(if $(SRC_$(m)),$(m))),handlers fcgi domain inference media base)))

$(B)/unit/%: tests/unit/%.c tests/unit/test.h $(TEST_LIBS)
	@mkdir -p $(@D)
	@echo "  TEST  $<"
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -Wno-missing-prototypes $(LDFLAGS) -o $@ $< -Wl,--start-group $(TEST_LIBS) -Wl,--end-group $(LDLIBS)

$(B)/models/%: tests/models/%.c tests/unit/test.h $(TEST_LIBS)
	@mkdir -p $(@D)
	@echo "  TEST  $<"
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -Wno-missing-prototypes $(LDFLAGS) -o $@ $< -Wl,--start-group $(TEST_LIBS) -Wl,--end-group $(LDLIBS)

# A fuzz target defines LLVMFuzzerTestOneInput. `make test` replays its corpus with a plain driver; `make fuzz`
# builds it with clang's libFuzzer.
$(B)/replay/%: tests/fuzz/fuzz_%.c tests/fuzz/replay.c $(TEST_LIBS)
	@mkdir -p $(@D)
	@echo "  FUZZ  $<"
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -Wno-missing-prototypes $(LDFLAGS) -o $@ $< tests/fuzz/replay.c -Wl,--start-group $(TEST_LIBS) -Wl,--end-group $(LDLIBS)

.PHONY: test test-unit test-models test-fuzz test-sql test-http
test: ## every test, on a throw-away stack of its own; ends with the counts
	@tests/run.sh all

test-unit: $(UNIT_BIN) ## contracts of single modules, no network and no database
	@tests/run.sh unit $(UNIT_BIN)
test-models: $(MODEL_BIN) ## operators against their reference, decoded boxes against fixtures
	@tests/run.sh models $(MODEL_BIN)
test-fuzz: $(REPLAY_BIN) ## replay every fuzz corpus
	@tests/run.sh fuzz $(REPLAY_BIN)
test-sql: ## migrations from empty, rules, tenancy, shapes
	@tests/run.sh sql
test-http: all ## status and body through nginx, PostgreSQL and files
	@tests/run.sh http
