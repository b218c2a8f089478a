# Fovea: one non-recursive build. Each module lists its sources in <module>/module.mk.
#
#   make            build every program into bin/
#   make help       list the targets
#
# MODE picks the build: release (default), debug, asan (address + undefined), tsan, fuzz (clang). CC picks
# the compiler.

MODE ?= release
CC   ?= gcc
ifeq ($(origin CC),default)
CC   := gcc
endif
B    := build/$(MODE)$(if $(findstring clang,$(CC)),-clang)

PKGS := libpq json-c openssl libprotobuf-c libexif libtiff-4 libjpeg libpng libwebp libheif libzip zlib libarchive libcurl libsystemd

WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes \
            -Wvla -Wformat=2 -Wundef -Wunused-result -Werror
HARDENING := -fstack-protector-strong -fstack-clash-protection -fPIE -D_FORTIFY_SOURCE=2 -ftrivial-auto-var-init=zero
ifneq ($(findstring clang,$(CC)),)
HARDENING += -enable-trivial-auto-var-init-zero-knowing-it-will-be-removed-from-clang
endif
# Quiet where packages are missing: `make run` installs them, a build says what to do (packages-needed).
CPPFLAGS := -I. -I$(B) -D_GNU_SOURCE $(shell pkg-config --cflags $(PKGS) 2> /dev/null)
CFLAGS   := -std=c17 -g $(WARNINGS) -pthread -fno-omit-frame-pointer -fvisibility=hidden
LDFLAGS  := -pthread -pie -Wl,-z,relro,-z,now -Wl,--as-needed
PKG_LIBS := $(shell pkg-config --libs $(PKGS) 2> /dev/null)
LDLIBS   := $(PKG_LIBS) -lmagic -lgif -ldnnl -lm

ifeq ($(MODE),release)
CFLAGS += -O2 $(HARDENING)
else ifeq ($(MODE),debug)
CFLAGS += -O0 -fPIE -DFOVEA_FAILPOINTS
else ifeq ($(MODE),asan)
CFLAGS  += -O1 -fPIE -fsanitize=address,undefined -fno-sanitize-recover=all -DFOVEA_FAILPOINTS
LDFLAGS += -fsanitize=address,undefined
else ifeq ($(MODE),fuzz)
CFLAGS  += -O1 -fPIE -fsanitize=address,undefined,fuzzer-no-link -fno-sanitize-recover=all -DFOVEA_FAILPOINTS
LDFLAGS += -fsanitize=address,undefined
else ifeq ($(MODE),tsan)
CFLAGS  += -O1 -fPIE -fsanitize=thread -DFOVEA_FAILPOINTS
LDFLAGS += -fsanitize=thread
else
$(error MODE is one of release, debug, asan, tsan, fuzz)
endif

MODULES := base media inference domain fcgi handlers worker cli
PROGRAMS :=

.DEFAULT_GOAL := all
# A module.mk sets  SRC_<module> (sources of its library)  and may add to PROGRAMS, with MAIN_<program> naming the
# file of main() and LIBS_<program> the modules it links.
-include $(foreach m,$(MODULES),$(m)/module.mk)

obj = $(patsubst %.c,$(B)/%.o,$(1))
lib = $(patsubst %,$(B)/lib%.a,$(1))

define module_rules
OBJ_$(1) := $(call obj,$(SRC_$(1)))
$(B)/lib$(1).a: $$(OBJ_$(1))
	@rm -f $$@
	$$(Q)ar qcs $$@ $$^
DEPS += $$(OBJ_$(1):.o=.d)
endef
$(foreach m,$(MODULES),$(eval $(call module_rules,$(m))))

define program_rules
$(B)/$(1): $(call obj,$(MAIN_$(1))) $(call lib,$(LIBS_$(1)))
	@echo "  LINK  $$@"
	$$(Q)$$(CC) $$(LDFLAGS) -o $$@ $$(filter %.o,$$^) $$(filter %.a,$$^) $$(LDLIBS)
bin/$(1): $(B)/$(1) FORCE
	@[ "$$$$(readlink $$@)" = ../$(B)/$(1) ] || { mkdir -p bin && ln -sfn ../$(B)/$(1) $$@; }
DEPS += $(B)/$(patsubst %.c,%.d,$(MAIN_$(1)))
endef
$(foreach p,$(PROGRAMS),$(eval $(call program_rules,$(p))))

Q := $(if $(V),,@)

$(B)/%.o: %.c $(if $(PKG_LIBS),,| packages-needed)
	@mkdir -p $(@D)
	@echo "  CC    $<"
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

.PHONY: all packages-needed FORCE
packages-needed:
	@echo "Debian packages are missing; make run and make test install them, make packages does just that" >&2
	@exit 1
FORCE: # a link has no age of its own: it is looked at each time, since MODE may be another
all: $(addprefix bin/,$(PROGRAMS)) ## build every program into bin/

include tests/tests.mk
-include tools/targets.mk tests/bench/bench.mk tests/torture/torture.mk tests/fuzz/fuzz.mk

.PHONY: help clean-build
help: ## list the targets
	@grep -hE '^[a-zA-Z_-]+:.*##' $(MAKEFILE_LIST) | sort -u | awk -F':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

clean-build: ## remove what was built (keeps var/)
	rm -rf build bin

-include $(DEPS)
