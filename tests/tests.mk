# Tests. A unit test is one file tests/unit/<module>_<topic>.c with TEST() cases; it links the libraries of its
# module and of those below. Every runner prints TAP; tests/run.sh sums them up.

UNIT_SRC  := $(sort $(wildcard tests/unit/*_*.c))
UNIT_BIN  := $(patsubst tests/unit/%.c,$(B)/unit/%,$(UNIT_SRC))
MODEL_SRC := $(sort $(wildcard tests/models/*_*.c))
MODEL_BIN := $(patsubst tests/models/%.c,$(B)/models/%,$(MODEL_SRC))
FUZZ_SRC  := $(sort $(wildcard tests/fuzz/fuzz_*.c))
FUZZ_NAMES := $(patsubst tests/fuzz/fuzz_%.c,%,$(FUZZ_SRC))
REPLAY_BIN := $(patsubst %,$(B)/replay/%,$(FUZZ_NAMES))

# What a test of each module links: the module and what it stands on. Archives give only what is used.
TEST_LIBS_base := base
TEST_LIBS_media := media base
TEST_LIBS_inference := inference media base
TEST_LIBS_domain := domain inference media base
TEST_LIBS_fcgi := fcgi domain media base
TEST_LIBS_handlers := handlers fcgi domain inference media base
TEST_LIBS_cli := cli domain inference media base
TEST_LIBS_models := inference media base
TEST_LIBS_all := handlers fcgi domain inference media base

# $(1) source, $(2) program, $(3) libraries; headers of tests among what the compiler finds
define test_rule
$(2): $(1) $(call lib,$(3))
	@mkdir -p $$(@D)
	@echo "  TEST  $$<"
	$$(Q)$$(CC) $$(CPPFLAGS) $$(CFLAGS) -Wno-missing-prototypes -MMD -MP -MF $$@.d $$(LDFLAGS) -o $$@ $$< \
	    -Wl,--start-group $(call lib,$(3)) -Wl,--end-group $$(LDLIBS)
DEPS += $(2).d
endef
module_of = $(firstword $(subst _, ,$(notdir $(1))))
$(foreach t,$(UNIT_SRC),$(eval $(call test_rule,$(t),$(patsubst tests/unit/%.c,$(B)/unit/%,$(t)),$(TEST_LIBS_$(call module_of,$(t))))))
$(foreach t,$(MODEL_SRC),$(eval $(call test_rule,$(t),$(patsubst tests/models/%.c,$(B)/models/%,$(t)),$(TEST_LIBS_models))))
TEST_LIBS := $(call lib,$(TEST_LIBS_all))
$(UNIT_BIN) $(REPLAY_BIN): | $(B)/fovea-picture # decodes some formats of pictures for them

# A fuzz target defines LLVMFuzzerTestOneInput. `make test` replays its corpus with a plain driver; `make fuzz`
# builds it with clang's libFuzzer.
$(B)/replay/%: tests/fuzz/fuzz_%.c tests/fuzz/replay.c $(TEST_LIBS)
	@mkdir -p $(@D)
	@echo "  FUZZ  $<"
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -Wno-missing-prototypes $(LDFLAGS) -o $@ $< tests/fuzz/replay.c -Wl,--start-group $(TEST_LIBS) -Wl,--end-group $(LDLIBS)

.PHONY: test test-unit test-models test-isa test-fuzz test-sql test-http
test: ## every test, on a throw-away stack of its own; ends with the counts
	@tests/run.sh all

test-unit: $(UNIT_BIN) ## contracts of single modules, no network and no database
	@tests/run.sh unit $(UNIT_BIN)
test-models: $(MODEL_BIN) ## operators against their reference, decoded boxes against fixtures
	@tests/run.sh models $(MODEL_BIN)
test-isa: $(UNIT_BIN) $(MODEL_BIN) ## the same for what computes, with AVX-512, then its newer parts, masked off
	@tests/run.sh isa $(MODEL_BIN) $(UNIT_BIN)
test-fuzz: $(REPLAY_BIN) ## replay every fuzz corpus
	@tests/run.sh fuzz $(REPLAY_BIN)
test-sql: ## migrations from empty, rules, tenancy, shapes
	@tests/run.sh sql
test-http: all ## status and body through nginx, PostgreSQL and files
	@tests/run.sh http

-include tests/sql/rules.mk
