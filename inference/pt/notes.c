/* See notes.h. Values are spelled as Python's repr() does, since exports are written that way. */
#include "inference/pt/notes.h"

#include <stdio.h>
#include <string.h>
#include "base/text.h"

enum { MOST_NOTES = 20 };

struct writer {
    struct model *model;
    struct arena *arena;
};

static void put(struct writer *w, const char *key, const char *value)
{
    struct model *m = w->model;

    if (value && m->nnotes < MOST_NOTES)
        m->notes[m->nnotes++] = (struct model_note){ key, value };
}

static void put_text(struct writer *w, const char *key, struct slice s)
{
    if (s.n)
        put(w, key, arena_strndup(w->arena, s.p, s.n));
}

/* {0: 'cat', 1: 'dog'}; names were checked: UTF-8 without control characters. */
static void put_names(struct writer *w, const struct model_card *card)
{
    struct buffer b = { 0 };

    buffer_char(&b, '{');
    for (int i = 0; i < card->nclasses; i++) {
        buffer_printf(&b, "%s%d: '", i ? ", " : "", i);
        for (const char *s = card->class_names[i]; *s; s++) {
            if (*s == '\'' || *s == '\\')
                buffer_char(&b, '\\');
            buffer_char(&b, *s);
        }
        buffer_char(&b, '\'');
    }
    buffer_char(&b, '}');
    if (card->nclasses && !b.failed)
        put(w, "names", arena_strndup(w->arena, b.p, b.n));
    buffer_free(&b);
}

static void put_points(struct writer *w, const struct pt_value *head)
{
    int64_t shape[2];

    if (pt_attribute(head, "kpt_shape") &&
        build_pair(pt_attribute(head, "kpt_shape"), 1, 4096, 0, shape))
        put(w, "kpt_shape",
            arena_printf(w->arena, "[%lld, %lld]", (long long)shape[0], (long long)shape[1]));
}

/* Three numbers of a list, or of a tensor as far as text is concerned: false. */
static bool three(const struct pt_value *v, double ret[3])
{
    bool ok = v && (v->kind == PT_LIST || v->kind == PT_TUPLE) && v->items.n == 3;

    for (size_t i = 0; ok && i < 3; i++) {
        const struct pt_value *x = v->items.at[i];
        ok = x->kind == PT_FLOAT || x->kind == PT_INT;
        ret[i] = x->kind == PT_FLOAT ? x->real : ok ? (double)x->integer : 0;
    }
    return ok;
}

static void put_three(struct writer *w, const char *key, const double v[3])
{
    put(w, key, arena_printf(w->arena, "[%.9g, %.9g, %.9g]", v[0], v[1], v[2]));
}

/* A classifier's own normalisation; YOLOv5's programs do ImageNet's without writing it down. */
static void put_normalisation(struct writer *w, const struct pt_value *model)
{
    double mean[3] = { 0.485, 0.456, 0.406 }, std[3] = { 0.229, 0.224, 0.225 };
    const struct pt_value *steps = pt_attribute(pt_attribute(model, "transforms"), "transforms");
    const struct slice module = pt_class_module(model);
    bool found = module.n > 7 && memcmp(module.p, "models.", 7) == 0;

    for (size_t i = 0; steps && steps->kind == PT_LIST && i < steps->items.n; i++)
        if (pt_has_class(steps->items.at[i], "Normalize"))
            found = three(pt_attribute(steps->items.at[i], "mean"), mean) &&
                    three(pt_attribute(steps->items.at[i], "std"), std);
    for (int i = 0; i < 3; i++)
        found = found && std[i] > 0;
    if (!found ||
        (mean[0] == 0 && mean[1] == 0 && mean[2] == 0 && std[0] == 1 && std[1] == 1 && std[2] == 1))
        return;
    put_three(w, "mean", mean);
    put_three(w, "std", std);
}

static const struct pt_value *head_of(const struct pt_value *model)
{
    const struct pt_value *layers = pt_part(model, "model");

    return build_child(layers, build_children(layers) - 1);
}

enum status notes_write(const struct pt_file *p, const struct pt_value *model, const struct build *b,
                        struct model *m, struct fault *f)
{
    struct writer w = { m, m->graph->arena };
    const struct pt_value *head = head_of(model);
    struct model_card *card = NULL;
    enum status st = pt_card_of(p, &card, f);

    if (st != ST_OK)
        return st;
    m->producer = "pytorch";
    m->producer_version = "";
    m->notes = arena_array(w.arena, MOST_NOTES, sizeof *m->notes);
    if (m->notes) {
        if (card->architecture[0])
            put(&w, "description", arena_printf(w.arena, "Ultralytics %s model", card->architecture));
        put_text(&w, "version", pt_text(pt_get(pt_root(p), "version")));
        put_text(&w, "date", pt_text(pt_get(pt_root(p), "date")));
        put_text(&w, "license", pt_text(pt_get(pt_root(p), "license")));
        put_text(&w, "head", pt_class_name(head));
        put(&w, "task", b->task);
        put(&w, "batch", "1");
        put(&w, "stride", arena_printf(w.arena, "%d", (int)b->stride));
        put(&w, "channels",
            arena_printf(w.arena, "%lld", (long long)m->graph->tensors[m->graph->inputs[0]].v.dims[1]));
        if (card->input_height && card->input_width)
            put(&w, "imgsz", arena_printf(w.arena, "[%d, %d]", card->input_height, card->input_width));
        put_names(&w, card);
        put_points(&w, head);
        put(&w, "end2end", b->end_to_end ? "True" : "False");
        if (strcmp(b->task, "classify") == 0)
            put_normalisation(&w, model);
    }
    model_card_free(card);
    return arena_failed(w.arena) ? fault_set(f, ST_TOO_LARGE, "model", "the notes are too long") : ST_OK;
}
