# make bench: speed against ceilings of the same run, on a throw-away stack with a million projects; docs/bench.md says
# what is measured and why. QUICK=1: three short rounds. ONLY="hello list-20-of-1M": some of the lines.

.PHONY: bench
bench: all ## measure against ceilings of the same run: TSV (QUICK=1 for short, ONLY="name ...")
	@QUICK="$(QUICK)" ONLY="$(ONLY)" FOVEA_FIXTURES="$(or $(FOVEA_FIXTURES),$(CURDIR)/../shared/fixtures)" \
	    tests/http/stack.sh python3 tests/bench/bench.py
