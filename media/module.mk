SRC_media := $(sort $(wildcard media/*.c))
