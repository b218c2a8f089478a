/*
 * Heads: what a model's outputs mean. A family is one way of writing results into tensors; the table
 * of families (family.c) recognises one by the file's metadata and the outputs' shapes, or is told its
 * name, and a head is the family with the numbers of one model at one input size. Decoding turns
 * outputs into candidates in pixels of the network's input.
 *
 *   recognise -> preprocess -> (network) -> decode -> filter, sort, suppress -> details of what is kept
 */
#ifndef INFERENCE_POST_HEAD_H
#define INFERENCE_POST_HEAD_H

#include "inference/graph/graph.h"
#include "inference/post/candidate.h"
#include "inference/preprocess.h"

enum { HEAD_OUTPUTS = 16, HEAD_LEVELS = 5 };

/* What is known of a model when its head is looked for. */
struct head_facts {
    int input_height, input_width;
    bool task_known; /* the metadata names it */
    enum model_task task;
    size_t nclasses;                  /* class names in the metadata, or 0 */
    bool end_to_end;                  /* the metadata says: rows of finished boxes */
    int64_t keypoints, keypoint_dims; /* "kpt_shape", or 0 */
    bool from_yolo;                   /* metadata as the YOLO packages write it */
    bool sized;                       /* the graph asks for the picture's size beside the picture */
    bool focus;       /* the graph starts by cutting the picture into its even and odd pixels */
    bool exponential; /* the graph takes exponentials itself: sizes are finished */
    size_t noutputs;
    struct output_fact {
        struct value v;
        const char *made_by; /* last operator that computes, beyond reshapes: "Sigmoid"; may be empty */
        const char *name;    /* may be NULL */
        bool late;           /* its shape is an upper bound (graph/late.h) */
        uint32_t integers;   /* bit k: column k of the last dim was made from integers */
    } outputs[HEAD_OUTPUTS];
};

/* One scale of a head: a grid of cells, and the outputs that belong to it. */
struct level {
    int stride, width, height;
    int boxes, scores, objectness, points; /* outputs */
};

struct family;

struct head {
    const struct family *family; /* NULL: none */
    enum model_task task;
    size_t nclasses; /* 0: unknown */
    size_t n;        /* rows: anchors, cells or finished boxes */
    size_t nkeypoints, keypoint_dims;
    size_t nmasks; /* coefficients; 0: no masks */
    /* Families of one table: element k of row i is at i * row + k * column of output 0. */
    size_t row, column;
    size_t extra_at; /* first mask coefficient, key point or angle */
    int prototypes;  /* output with the mask prototypes [1, nmasks, h, w] */
    int nlevels;
    struct level levels[HEAD_LEVELS];
    int input_height, input_width;
    bool logits;      /* scores are yet to be squashed */
    bool background;  /* class 0 is "nothing" */
    bool class_first; /* before the score, in rows of finished boxes */
    int nlate;
    struct late_output {
        int output;
        struct value most; /* its shape, as an upper bound */
    } late[HEAD_OUTPUTS];
};

enum suppression { SUPPRESS_NONE, SUPPRESS_GREEDY };

struct family {
    const char *name;
    enum suppression suppression; /* rotated boxes: nms_rotated instead of the greedy one */
    const struct preprocess *preprocess;
    const char *const *labels; /* class names where the file has none, NULL-terminated; or NULL */
    bool declared_only;        /* never guessed: shapes alone do not tell it from another */
    bool variable; /* decode asks the values for the dims of late outputs; without it a run that
                      gives less than the most is refused */
    /* ret: zeroed but for input size; on true all but family is filled. */
    bool (*recognise)(const struct head_facts *f, struct head *ret);
    /* out[HEAD_OUTPUTS]: dense float32. Scores above conf. NULL: raw tensors. */
    void (*decode)(const struct head *h, const struct value out[], float conf, struct candidates *ret);
    /* Fills ret[h->nkeypoints] for one candidate, in input pixels; NULL: columns of the table. */
    void (*keypoints)(const struct head *h, const struct value out[], const struct candidate *c,
                      struct keypoint ret[]);
};

/* Facts that the graph tells: outputs, focus, exponentials. The rest is the caller's. */
void head_read_graph(const struct graph *g, struct head_facts *ret);

/*
 * The first family of the table that fits, or that of the name. False: none does, and *ret is the family
 * "raw", or one of that name does not exist or does not fit; why gets a sentence of at most `size`
 * bytes.
 */
bool head_recognise(const struct head_facts *f, const char *family, struct head *ret, char *why,
                    size_t size);
const char *head_name(const struct head *h); /* the family's, or "raw" */

/* All families' names, for messages and documentation; NULL behind the last. */
const char *family_name(size_t i);

/* Key points of a candidate: by the family, or from the table's columns. */
void head_keypoints(const struct head *h, const struct value out[], const struct candidate *c,
                    struct keypoint ret[]);

/* ---- for families ---- */

/* Element k of row i of a table. */
static inline float head_element(const struct head *h, const float *table, size_t i, size_t k)
{
    return table[i * h->row + k * h->column];
}

/* Output i is float32 of this rank with the first dim 1. */
bool fact_is(const struct head_facts *f, size_t i, int rank);
/* Cells of the strides 8, 16, 32 ... (n of them) over the input, each side rounded up; fills levels. */
size_t head_grid(struct head *h, const int strides[], int n);
/* The cell's level and place among all cells of all levels, row by row. False: beyond the last. */
bool head_cell(const struct head *h, size_t i, int *level, int *x, int *y);
float squash(float logit); /* 1 / (1 + e^-x) */
float unsquash(float p);   /* its inverse; infinite at 0 and 1 */

#endif
