PROGRAMS += fovea-worker
MAIN_fovea-worker := worker/main.c
SRC_worker := $(filter-out $(MAIN_fovea-worker),$(sort $(wildcard worker/*.c)))
LIBS_fovea-worker := worker domain inference media base
