/* Metadata of model files: see notes.h. */
#include "inference/notes.h"

#include <math.h>
#include <string.h>
#include "inference/literal.h"

enum { NOTES_MEMORY_BYTES = 64 << 20 };

static const struct literal *note_literal(const struct model *m, struct arena *a, const char *key)
{
    const char *text = model_note(m, key);
    const struct literal *l = NULL;

    if (!text || literal_read((struct slice){ text, strlen(text) }, a, &l, NULL) != ST_OK)
        return NULL;
    return l;
}

static enum status read_names(const struct model *m, struct notes *n, struct fault *f)
{
    const struct literal *names;

    if (!model_note(m, "names"))
        return ST_OK;
    if (!(names = note_literal(m, n->arena, "names")))
        return fault_set(f, ST_INVALID, "model", "the metadata \"names\" is not a list of class names");
    return literal_names(names, n->arena, &n->names, &n->nnames, f);
}

/* Up to two numbers; 0: not there. */
static size_t read_pair(const struct model *m, struct notes *n, const char *key, int64_t ret[2])
{
    size_t count = 0;

    if (!literal_ints(note_literal(m, n->arena, key), ret, 2, &count))
        return 0;
    return count;
}

static bool is_true(const struct literal *l)
{
    return l && l->kind == LITERAL_BOOL && l->boolean;
}

static bool read_three(const struct literal *l, float ret[3])
{
    const struct literal *item;
    int k = 0;

    if (!l || (l->kind != LITERAL_LIST && l->kind != LITERAL_TUPLE) || l->items.n != 3)
        return false;
    for (item = l->items.first; item && k < 3; item = item->next, k++) {
        if (item->kind != LITERAL_FLOAT && item->kind != LITERAL_INT)
            return false;
        ret[k] = item->kind == LITERAL_INT ? (float)item->integer : (float)item->real;
        if (!isfinite(ret[k]))
            return false;
    }
    return k == 3;
}

static void read_scale(const struct model *m, struct notes *n)
{
    n->normalized = read_three(note_literal(m, n->arena, "mean"), n->mean) &&
                    read_three(note_literal(m, n->arena, "std"), n->deviation) && n->deviation[0] > 0 &&
                    n->deviation[1] > 0 && n->deviation[2] > 0;
}

static void read_numbers(const struct model *m, struct notes *n)
{
    int64_t pair[2] = { 0 };
    size_t count;

    if ((count = read_pair(m, n, "imgsz", pair))) {
        n->height = pair[0];
        n->width = pair[count - 1];
    }
    if (read_pair(m, n, "stride", pair) == 1)
        n->stride = pair[0];
    if (read_pair(m, n, "kpt_shape", pair) == 2 && pair[0] > 0 && pair[0] <= LIMIT_KEYPOINTS &&
        (pair[1] == 2 || pair[1] == 3)) {
        n->keypoints = pair[0];
        n->keypoint_dims = pair[1];
    }
}

enum status notes_read(const struct model *m, struct notes *ret, struct fault *f)
{
    const char *description = model_note(m, "description");
    enum status st;

    *ret = (struct notes){ .arena = arena_create(NOTES_MEMORY_BYTES) };
    if (!ret->arena)
        return fault_set(f, ST_UNAVAILABLE, NULL, "out of memory");
    if ((st = read_names(m, ret, f)) != ST_OK)
        return st;
    read_numbers(m, ret);
    read_scale(m, ret);
    ret->task = model_note(m, "task");
    ret->family = model_note(m, "family");
    ret->end_to_end = is_true(note_literal(m, ret->arena, "end2end")) ||
                      is_true(literal_get(note_literal(m, ret->arena, "args"), "nms"));
    ret->from_yolo = ret->task || (description && strncmp(description, "Ultralytics ", 12) == 0);
    return ST_OK;
}

void notes_free(struct notes *n)
{
    arena_free(n->arena);
    *n = (struct notes){ 0 };
}
