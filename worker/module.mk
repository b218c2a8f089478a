SRC_worker := $(sort $(wildcard worker/*.c))
