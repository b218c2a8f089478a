SRC_domain := $(sort $(wildcard domain/*.c))
