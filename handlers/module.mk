SRC_handlers := $(sort $(wildcard handlers/*/*.c))
