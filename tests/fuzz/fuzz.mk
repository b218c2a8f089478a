# `make fuzz` runs every fuzz target with clang's libFuzzer for FUZZ_SECONDS each (NAME=json for one); what it finds
# stays in build/fuzz-clang/found. `make test` only replays the corpora.

FUZZ_SECONDS ?= 60
FUZZ_TARGETS := $(if $(NAME),$(NAME),$(FUZZ_NAMES))

$(B)/fuzz/%: tests/fuzz/fuzz_%.c $(TEST_LIBS) | $(B)/fovea-picture
	@mkdir -p $(@D)
	@echo "  FUZZ  $<"
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -Wno-missing-prototypes $(LDFLAGS) -fsanitize=fuzzer -o $@ $< \
	    -Wl,--start-group $(TEST_LIBS) -Wl,--end-group $(LDLIBS)

.PHONY: fuzz fuzz-run
fuzz: ## search for inputs that break a reader (FUZZ_SECONDS=60 each, NAME=json for one)
	@$(MAKE) --no-print-directory MODE=fuzz CC=clang fuzz-run
fuzz-run: $(addprefix $(B)/fuzz/,$(FUZZ_TARGETS))
	@for name in $(FUZZ_TARGETS); do \
	    mkdir -p $(B)/found/$$name tests/fuzz/corpus/$$name && echo "== $$name" && \
	    $(B)/fuzz/$$name -max_total_time=$(FUZZ_SECONDS) -timeout=5 -rss_limit_mb=2048 -print_final_stats=1 \
	        -artifact_prefix=$(B)/found/$$name/ $(B)/found/$$name tests/fuzz/corpus/$$name > $(B)/found/$$name.log 2>&1 \
	        || { tail -n 40 $(B)/found/$$name.log; exit 1; }; tail -n 12 $(B)/found/$$name.log; \
	done
