PROGRAMS += fovea
MAIN_fovea := cli/main.c
SRC_cli := $(filter-out $(MAIN_fovea),$(sort $(wildcard cli/*.c)))
LIBS_fovea := cli domain inference media base
