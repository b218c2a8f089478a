/* What a checkpoint says of itself, for people and for the catalogue of models. */
#include "inference/pt/pt.h"

#include <stdlib.h>
#include <string.h>
#include "base/arena.h"
#include "inference/literal.h"

enum { NAMES_MEMORY_BYTES = 64 << 20, LARGEST_INPUT_PX = 16384 };

/* Classes of the networks that Ultralytics' packages and YOLOv5 save. */
static const struct {
    const char *class;
    enum model_task task;
} classes[] = {
    { "DetectionModel", TASK_DETECT },
    { "SegmentationModel", TASK_SEGMENT },
    { "ClassificationModel", TASK_CLASSIFY },
    { "PoseModel", TASK_POSE },
    { "OBBModel", TASK_OBB },
    { "Model", TASK_DETECT },
    { "WorldModel", TASK_DETECT },
    { "YOLOEModel", TASK_DETECT },
    { "YOLOESegModel", TASK_SEGMENT },
    { "RTDETRDetectionModel", TASK_DETECT },
    { "YOLOv10DetectionModel", TASK_DETECT },
};

static bool is_word(struct slice s, const char *word)
{
    return s.n == strlen(word) && memcmp(s.p, word, s.n) == 0;
}

static void read_task(const struct pt_value *model, const struct pt_value *settings,
                      struct model_card *c)
{
    const struct slice class = pt_class_name(model);
    struct slice task = pt_text(pt_attribute(model, "task"));

    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
        if (is_word(class, classes[i].class)) {
            c->task = classes[i].task;
            c->task_known = true;
            return;
        }
    if (!task.n)
        task = pt_text(pt_member(settings, "task"));
    for (int t = 0; t < TASK__COUNT; t++)
        if (is_word(task, model_task_name((enum model_task)t))) {
            c->task = (enum model_task)t;
            c->task_known = true;
        }
}

/* "imgsz": a side, or [height, width]. */
static void read_size(const struct pt_value *settings, struct model_card *c)
{
    const struct pt_value *v = pt_member(settings, "imgsz");
    int64_t height = 0, width = 0;

    if (pt_int(v, &height))
        width = height;
    else if (!v || (v->kind != PT_LIST && v->kind != PT_TUPLE) || v->items.n == 0 || v->items.n > 2 ||
             !pt_int(v->items.at[0], &height) || !pt_int(v->items.at[v->items.n - 1], &width))
        return;
    if (height < 1 || width < 1 || height > LARGEST_INPUT_PX || width > LARGEST_INPUT_PX)
        return;
    c->input_height = (int)height;
    c->input_width = (int)width;
}

/* A copy of at most size - 1 bytes: printable ASCII, since these texts end up in names and logs. */
static void copy_plain(struct slice s, char *ret, size_t size)
{
    size_t n = 0;

    for (size_t i = 0; i < s.n && n + 1 < size; i++)
        if (s.p[i] >= ' ' && s.p[i] < 127)
            ret[n++] = s.p[i];
    ret[n] = '\0';
}

/*
 * The name of the architecture from the file it was described in and the scale: "cfg/yolo11-seg.yaml"
 * and "n" make "yolo11n-seg"; "yolov8n.yaml" stays "yolov8n".
 */
static void read_architecture(const struct pt_value *model, struct model_card *c)
{
    const struct pt_value *yaml = pt_attribute(model, "yaml"), *named = pt_get(yaml, "yaml_file");
    struct slice file = pt_text(named ? named : pt_attribute(model, "yaml_file")),
                 scale = pt_text(pt_get(yaml, "scale"));
    char stem[48], letter[2] = "";
    size_t digits = 0;

    for (size_t i = file.n; i-- > 0;)
        if (file.p[i] == '/' || file.p[i] == '\\') {
            file = (struct slice){ file.p + i + 1, file.n - i - 1 };
            break;
        }
    for (size_t i = file.n; i-- > 0;)
        if (file.p[i] == '.') {
            file.n = i;
            break;
        }
    copy_plain(file, stem, sizeof stem);
    digits = strcspn(stem, "0123456789");
    digits += strspn(stem + digits, "0123456789");
    if (scale.n == 1 && strchr("nsmblxtc", scale.p[0]) && (stem[digits] == '\0' || stem[digits] == '-'))
        letter[0] = scale.p[0];
    memcpy(c->architecture, stem, digits);
    c->architecture[digits] = letter[0];
    c->architecture[digits + (letter[0] != '\0')] = '\0';
    strncat(c->architecture, stem + digits, sizeof c->architecture - strlen(c->architecture) - 1);
}

/* Class names: the same rules as in other formats apply, so the dict or list becomes a literal. */

static const struct literal *literal_of(const struct pt_value *v, struct arena *a)
{
    struct literal *l = v ? arena_alloc(a, sizeof *l) : NULL;

    if (!l)
        return NULL;
    if (v->kind == PT_INT) {
        l->kind = LITERAL_INT;
        l->integer = v->integer;
    } else if (v->kind == PT_STRING) {
        l->kind = LITERAL_STRING;
        l->text = v->text;
    }
    return l; /* else None, which no name and no key can be */
}

static const struct literal *literal_of_names(const struct pt_value *names, struct arena *a)
{
    const size_t step = names->kind == PT_DICT ? 2 : 1;
    struct literal *l = arena_alloc(a, sizeof *l), *item = NULL;
    const struct literal **tail;

    if (!l || (names->kind != PT_DICT && names->kind != PT_LIST && names->kind != PT_TUPLE))
        return l;
    l->kind = step == 2 ? LITERAL_DICT : LITERAL_LIST;
    tail = &l->items.first;
    for (size_t i = 0; i + step <= names->items.n; i += step) {
        const struct literal *value = literal_of(names->items.at[i + step - 1], a);

        if (!value || !(item = arena_alloc(a, sizeof *item)))
            return NULL;
        *item = *value;
        item->key = step == 2 ? literal_of(names->items.at[i], a) : NULL;
        *tail = item;
        tail = &item->next;
        l->items.n++;
    }
    return l;
}

static enum status refuse_names(struct fault *f)
{
    return fault_set(f, ST_TOO_LARGE, "model", "the class names need more memory than is allowed");
}

/* Names from the model, or class0 ... as many as it says it has. */
static enum status find_names(const struct pt_value *model, struct arena *a, char ***ret, size_t *ret_n,
                              struct fault *f)
{
    const struct pt_value *names = pt_attribute(model, "names");
    int64_t n = 0;

    if (names) {
        const struct literal *l = literal_of_names(names, a);

        return arena_failed(a) ? refuse_names(f) : literal_names(l, a, ret, ret_n, f);
    }
    if (!pt_int(pt_attribute(model, "nc"), &n) && !pt_int(pt_get(pt_attribute(model, "yaml"), "nc"), &n))
        n = 0;
    if (n < 0 || n > LIMIT_MODEL_CLASSES)
        return fault_set(f, ST_TOO_LARGE, "model", "the model has more than %d classes",
                         LIMIT_MODEL_CLASSES);
    *ret = arena_array(a, (size_t)n + 1, sizeof **ret);
    for (int64_t i = 0; *ret && i < n; i++)
        (*ret)[i] = arena_printf(a, "class%lld", (long long)i);
    *ret_n = (size_t)n;
    return arena_failed(a) ? fault_set(f, ST_TOO_LARGE, "model", "class names need too much memory")
                           : ST_OK;
}

static enum status read_names(const struct pt_value *model, struct model_card *c, struct fault *f)
{
    struct arena *a = arena_create(NAMES_MEMORY_BYTES);
    char **names = NULL;
    size_t n = 0;
    enum status st = ST_UNAVAILABLE;

    if (!a || (st = find_names(model, a, &names, &n, f)) != ST_OK)
        goto out;
    st = ST_UNAVAILABLE;
    if (n && !(c->class_names = calloc(n, sizeof *c->class_names)))
        goto out;
    for (; c->nclasses < (int)n; c->nclasses++)
        if (!(c->class_names[c->nclasses] = strdup(names[c->nclasses])))
            goto out;
    st = ST_OK;
out:
    arena_free(a);
    return st == ST_UNAVAILABLE ? fault_set(f, st, "model", "out of memory") : st;
}

static enum status read_card(const struct pt_file *p, struct model_card *c, struct fault *f)
{
    const struct pt_value *model = NULL, *settings;
    enum status st;

    if ((st = pt_model(p, &model, f)) != ST_OK || (st = read_names(model, c, f)) != ST_OK ||
        (st = pt_count_parameters(p, model, &c->parameters, f)) != ST_OK)
        return st;
    settings = pt_get(pt_root(p), "train_args"); /* complete; the model's own args may be a selection */
    c->format = MODEL_PT;
    read_task(model, settings, c);
    read_size(pt_get(pt_root(p), "opt"), c); /* YOLOv5 */
    read_size(settings, c);
    read_size(pt_attribute(model, "args"), c);
    read_architecture(model, c);
    copy_plain(pt_text(pt_get(pt_root(p), "version")), c->version, sizeof c->version);
    strncat(c->why_not, "its layers are not all known here: export it to ONNX and upload that",
            sizeof c->why_not - 1);
    return ST_OK;
}

enum status pt_card_of(const struct pt_file *p, struct model_card **ret, struct fault *f)
{
    struct model_card *c = calloc(1, sizeof *c);
    enum status st;

    if (!c)
        return fault_set(f, ST_UNAVAILABLE, "model", "out of memory");
    if ((st = read_card(p, c, f)) == ST_OK)
        *ret = c;
    else
        model_card_free(c);
    return st;
}

enum status pt_card_read(const void *bytes, size_t n, struct model_card **ret, struct fault *f)
{
    struct pt_file *p = NULL;
    enum status st = pt_open(bytes, n, &p, f);

    if (st == ST_OK)
        st = pt_card_of(p, ret, f);
    pt_close(p);
    return st;
}
