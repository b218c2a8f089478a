SRC_domain := $(sort $(wildcard domain/*.c))
# Pictures that the program carries.
$(B)/domain/pictures.o: $(wildcard domain/pictures/*.jpg) demo/page.jpg
