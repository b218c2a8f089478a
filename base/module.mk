SRC_base := $(sort $(wildcard base/*.c))
