SRC_media := $(sort $(filter-out media/picture_main.c,$(wildcard media/*.c)))

# Limits its own address space, which a sanitizer would fill at once: built without.
PROGRAMS += fovea-picture
MAIN_fovea-picture := media/picture_main.c
LIBS_fovea-picture :=
$(B)/fovea-picture $(B)/media/picture_main.o: CFLAGS := $(filter-out -fsanitize=%,$(CFLAGS))
$(B)/fovea-picture $(B)/media/picture_main.o: LDFLAGS := $(filter-out -fsanitize=%,$(LDFLAGS))
