SRC_inference := $(sort $(wildcard inference/*.c inference/*/*.c))
