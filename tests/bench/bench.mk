# make bench: speed against ceilings of the same run, on a throw-away stack with a million projects; docs/bench.md says
# what is measured and why. QUICK=1: three short rounds. ONLY="hello list-20-of-1M": some of the lines.

.PHONY: bench
bench: all ## measure against ceilings of the same run: TSV (QUICK=1 for short, ONLY="name ...")
	@QUICK="$(QUICK)" ONLY="$(ONLY)" FOVEA_FIXTURES="$(or $(FOVEA_FIXTURES),$(CURDIR)/../shared/fixtures)" \
	    tests/http/stack.sh python3 tests/bench/bench.py

# make bench-inference: networks against ONNX Runtime and OpenCV, without a server; docs/bench.md, second part.
RUNNER := $(B)/bench/inference_runner
$(RUNNER): tests/bench/inference/runner.c tests/bench/inference/export.h $(call lib,inference media base)
	@mkdir -p $(@D)
	@echo "  BENCH $<"
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -Wno-missing-prototypes $(LDFLAGS) -o $@ $< \
	    -Wl,--start-group $(call lib,inference media base) -Wl,--end-group $(LDLIBS)

.PHONY: bench-inference
bench-inference: $(RUNNER) ## measure networks against ONNX Runtime in interleaved rounds: TSV (QUICK=1, ONLY="name ...")
	@QUICK="$(QUICK)" ONLY="$(ONLY)" FOVEA_FIXTURES="$(or $(FOVEA_FIXTURES),$(CURDIR)/../shared/fixtures)" \
	    python3 tests/bench/inference/inference.py $(RUNNER)
