# Crash tests. `make test` runs a sample of them (tests/http/crash); `make torture` runs them whole, which takes about
# 40 minutes. Both need programs that have failpoints, which releases have not.

.PHONY: crash-programs torture
crash-programs:
	@$(MAKE) --no-print-directory MODE=debug CC=gcc build/debug/fovea build/debug/fovea-api build/debug/fovea-worker
test-programs test-http: crash-programs

torture: all crash-programs test-isa ## every instruction set; every crash at every named point with every signal, ten times; 1000 random kills (50 min)
	@tests/torture/run.sh
