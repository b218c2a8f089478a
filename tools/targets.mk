# Running, checking and looking after one stack: thin names for the scripts of tools/. Variables (see also
# tools/settings.sh): FOVEA_VAR, FOVEA_HTTPS_PORT 8443, FOVEA_HTTP_PORT 8080, FOVEA_METRICS_PORT 9464, FOVEA_USER,
# MODEL and IMAGE of the first prediction.

# make hands what stands on its command line to the scripts, in the environment.

.PHONY: packages run stop status logs install clean lint layers test-programs
packages: ## install what is missing from Debian (make run and make test do it too)
	@tools/install_packages
run: ## install what is missing, build, start everything on loopback, show one real prediction
	@tools/run
stop: ## stop what `make run` started; keeps the data
	@tools/stack down
status: ## what runs, and since when
	@tools/stack status || test $$? = 3 # 3: stopped, which is no failure here
logs: ## follow the logs (NAME=nginx|api|predict|slow|worker|postgres for one)
	@tools/stack logs $(NAME)
install: all ## put programs, units and settings where production has them (DESTDIR=... for a package); docs/deploy.md
	@DESTDIR="$(DESTDIR)" tools/install
clean: clean-build ## remove what was built; with YES=1 also stop, and remove all data of `make run`
	@tools/clean
lint: ## formatting, clang-tidy, include direction, nginx files, scripts, systemd units
	@tools/lint
layers: ## fail on an include against the arrow
	@tools/layers

# What tests/run.sh all builds, and the names it runs.
test-programs: all $(UNIT_BIN) $(MODEL_BIN) $(REPLAY_BIN)
print-%:
	@echo $($*)
