SRC_fcgi := $(sort $(wildcard fcgi/*.c))
