SRC_fcgi := $(sort $(filter-out fcgi/main.c,$(wildcard fcgi/*.c)))

PROGRAMS += fovea-api
MAIN_fovea-api := fcgi/main.c
LIBS_fovea-api := handlers fcgi domain inference media base
