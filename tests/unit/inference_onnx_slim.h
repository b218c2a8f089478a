/*
 * What the slim copy promises, for any bytes: the generated parser takes it exactly when it takes the
 * whole file, and once the weights are put back both are the same messages.
 */
#ifndef TESTS_UNIT_INFERENCE_ONNX_SLIM_H
#define TESTS_UNIT_INFERENCE_ONNX_SLIM_H

#include <stdlib.h>
#include <string.h>
#include "inference/model/onnx.pb-c.h"
#include "inference/model/slim.h"

/* Puts raw_data back. False: it points out of the file, or the tensor also has a short raw_data. */
static inline bool slim_restore_tensor(Onnxfile__Tensor *t, const uint8_t *file, size_t n)
{
    if (!t->has_raw_bytes)
        return true;
    if (t->has_raw_data || t->raw_bytes > n || t->raw_at > n - t->raw_bytes)
        return false;
    t->raw_data.len = (size_t)t->raw_bytes;
    if (!(t->raw_data.data = malloc(t->raw_data.len + 1)))
        return false;
    memcpy(t->raw_data.data, file + t->raw_at, t->raw_data.len);
    t->has_raw_data = true;
    return true;
}

/* Every tensor that the schema has a place for; `file` NULL: only takes our own fields away. */
static inline bool slim_restore(Onnxfile__Model *m, const uint8_t *file, size_t n)
{
    Onnxfile__Graph *g = m->graph;
    bool ok = true;

    for (size_t i = 0; g && i < g->n_initializer + g->n_node; i++) {
        Onnxfile__Node *node = i < g->n_initializer ? NULL : g->node[i - g->n_initializer];

        for (size_t k = 0; k < (node ? node->n_attribute : 1); k++) {
            Onnxfile__Tensor *t = node ? node->attribute[k]->t : g->initializer[i];

            if (!t)
                continue;
            ok = (!file || slim_restore_tensor(t, file, n)) && ok;
            t->has_raw_at = t->has_raw_bytes = false;
        }
    }
    return ok;
}

static inline bool slim_same_messages(const Onnxfile__Model *a, const Onnxfile__Model *b)
{
    const size_t n = onnxfile__model__get_packed_size(a);
    uint8_t *pa = malloc(n + 1), *pb = malloc(n + 1);
    bool same = pa && pb && onnxfile__model__get_packed_size(b) == n;

    if (same)
        same = onnxfile__model__pack(a, pa) == onnxfile__model__pack(b, pb) && memcmp(pa, pb, n) == 0;
    free(pa);
    free(pb);
    return same;
}

/* NULL, or what is wrong. *ret_slim: bytes of the slim copy, 0 when there is none. */
static inline const char *slim_disagrees(const uint8_t *file, size_t n, size_t *ret_slim)
{
    struct fault f = FAULT_INIT;
    struct buffer slim = { 0 };
    Onnxfile__Model *whole, *small = NULL;
    const char *wrong = NULL;
    const enum status st = onnx_slim(file, n, &slim, &f);

    *ret_slim = slim.n;
    if (st == ST_TOO_LARGE)
        return NULL;
    whole = onnxfile__model__unpack(NULL, n, file);
    if (st == ST_OK)
        small = onnxfile__model__unpack(NULL, slim.n, (const uint8_t *)(slim.p ? slim.p : ""));
    if (slim.n > n)
        wrong = "the slim copy is larger than the file";
    else if (!whole != !small)
        wrong = whole ? "the slim copy is refused, the whole file is not" : "only the slim copy is read";
    else if (whole && slim_restore(small, file, n) && slim_restore(whole, NULL, 0) &&
             !slim_same_messages(whole, small))
        wrong = "the messages differ";
    if (small)
        onnxfile__model__free_unpacked(small, NULL);
    if (whole)
        onnxfile__model__free_unpacked(whole, NULL);
    buffer_free(&slim);
    return wrong;
}

#endif
