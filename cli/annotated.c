/* Annotated pictures as files: see annotated.h. */
#include <stdio.h>
#include <string.h>
#include "cli/annotated.h"
#include "cli/network.h"
#include "domain/annotate.h"
#include "media/encode.h"

enum status annotated_save(const char *dir, const char *path, struct image *im,
                           const struct prediction *p, const struct model_card *card, struct fault *f)
{
    const char *const slash = strrchr(path, '/'), *const name = slash ? slash + 1 : path;
    const char *const suffix = strrchr(name, '.');
    const size_t n = suffix && suffix > name ? (size_t)(suffix - name) : strlen(name);
    struct buffer out = { .n = 0 };
    char to[4096];
    enum status st;

    if ((size_t)snprintf(to, sizeof to, "%s/%.*s.jpg", dir, (int)n, name) >= sizeof to)
        return fault_set(f, ST_INVALID, "save", "the name is too long");
    prediction_draw(p, card, im);
    if ((st = image_encode(im, IMAGE_JPEG, &out, f)) == ST_OK)
        st = file_write(to, out.p, out.n, f);
    buffer_free(&out);
    return st;
}
