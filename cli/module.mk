SRC_cli := $(sort $(wildcard cli/*.c))
