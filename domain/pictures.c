/* See pictures.h. The assembler reads the files, from the root of the source tree. */
#include "domain/pictures.h"

#define PICTURE(label, path)                                                                            \
    __asm__(".pushsection .rodata\n"                                                                    \
            ".globl picture_" #label "\n"                                                               \
            ".hidden picture_" #label "\n"                                                              \
            "picture_" #label ":\n"                                                                     \
            ".incbin \"" path "\"\n"                                                                    \
            ".globl picture_" #label "_end\n"                                                           \
            ".hidden picture_" #label "_end\n"                                                          \
            "picture_" #label "_end:\n"                                                                 \
            ".byte 0\n"                                                                                 \
            ".popsection\n");                                                                           \
    extern const unsigned char picture_##label[], picture_##label##_end[]

PICTURE(astronaut, "domain/pictures/astronaut.jpg");
PICTURE(photographer, "domain/pictures/photographer.jpg");
PICTURE(cat, "domain/pictures/cat.jpg");
PICTURE(cup, "domain/pictures/cup.jpg");
PICTURE(page, "demo/page.jpg");

const struct bundled_picture bundled_pictures[BUNDLED_PICTURES] = {
    { "astronaut", picture_astronaut, picture_astronaut_end },
    { "photographer", picture_photographer, picture_photographer_end },
    { "cat", picture_cat, picture_cat_end },
    { "cup", picture_cup, picture_cup_end },
    { "page", picture_page, picture_page_end },
};
