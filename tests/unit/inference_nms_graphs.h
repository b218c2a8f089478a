/*
 * What exporters append to a detector when they are asked for suppression inside: written node by node
 * as they spell it, with the shape arithmetic that they leave behind.
 */
#ifndef TESTS_UNIT_INFERENCE_NMS_GRAPHS_H
#define TESTS_UNIT_INFERENCE_NMS_GRAPHS_H

#include <limits.h>
#include "tests/unit/inference_onnx_writer.h"

static inline void nms_number(struct buffer *g, const char *name, float x)
{
    onnx_floats(g, name, 1, (const int64_t[]){ 1 }, &x);
}

static inline void nms_axis(struct buffer *g, const char *type, const char *in, const char *out,
                            const char *name, int64_t axis)
{
    struct buffer a = { 0 };

    onnx_int_attribute(&a, name, axis);
    onnx_node(g, type, in, out, &a);
}

/* x[mask] as the exporters write it: the mask's coordinates, then GatherND. */
static inline void nms_masked(struct buffer *g, const char *from, const char *to)
{
    char coordinates[32], rows[32], words[96];

    snprintf(coordinates, sizeof coordinates, "%.20s_nz", to);
    snprintf(rows, sizeof rows, "%.20s_at", to);
    snprintf(words, sizeof words, "%.32s %s", from, rows);
    onnx_node(g, "NonZero", "mask", coordinates, NULL);
    onnx_node(g, "Transpose", coordinates, rows, NULL);
    onnx_node(g, "GatherND", words, to, NULL);
}

/* Offsets of a class's boxes from those of the others: class_k [k] to offset_k [k, 4]. */
static inline void nms_class_offsets(struct buffer *g)
{
    struct buffer whole = { 0 };

    onnx_node(g, "Shape", "class_k", "class_shape", NULL);
    nms_axis(g, "Gather", "class_shape zero", "k", "axis", 0);
    onnx_node(g, "Unsqueeze", "k zero1", "k1", NULL);
    nms_axis(g, "Concat", "k1 one1", "view", "axis", 0);
    onnx_node(g, "Reshape", "class_k view", "class_column", NULL);
    nms_axis(g, "Concat", "k1 four1", "wide", "axis", 0);
    onnx_node(g, "Shape", "wide", "wide_shape", NULL);
    onnx_node(g, "ConstantOfShape", "wide_shape", "wide_zeros", NULL);
    onnx_int_attribute(&whole, "to", ONNX_INT64);
    onnx_node(g, "Cast", "wide_zeros", "wide_z64", &whole);
    onnx_node(g, "Add", "wide_z64 one1", "ones", NULL);
    onnx_node(g, "Mul", "ones minus1", "unset", NULL);
    onnx_node(g, "Equal", "wide unset", "is_unset", NULL);
    onnx_node(g, "Where", "is_unset ones wide", "expand_to", NULL);
    onnx_node(g, "Expand", "class_column expand_to", "class_wide", NULL);
}

/*
 * `from` [1, 4 + classes, anchors] of corners and scores to `to` [1, most, 6], filled up with zeros, as
 * Ultralytics does it with nms=True.
 */
static inline void nms_ultralytics(struct buffer *g, const char *from, const char *to, int64_t classes,
                                   int64_t most, float side)
{
    struct buffer a = { 0 }, b = { 0 }, c = { 0 }, d = { 0 };

    onnx_ints_attribute(&a, "perm", 3, (const int64_t[]){ 0, 2, 1 });
    onnx_node(g, "Transpose", from, "turned", &a);
    onnx_ints(g, "parts", 3, (const int64_t[]){ 4, classes, 0 });
    nms_axis(g, "Split", "turned parts", "boxes scores extras", "axis", 2);
    onnx_ints_attribute(&b, "axes", 1, (const int64_t[]){ -1 });
    onnx_int_attribute(&b, "keepdims", 0);
    onnx_node(g, "ReduceMax", "scores", "best", &b);
    onnx_int_attribute(&c, "axis", -1);
    onnx_int_attribute(&c, "keepdims", 0);
    onnx_node(g, "ArgMax", "scores", "class", &c);
    {
        struct buffer zero = onnx_tensor("zero", ONNX_INT64, 0, NULL, &(int64_t){ 0 }, 8);
        pb_message(g, 5, &zero);
    }
    onnx_ints(g, "zero1", 1, (const int64_t[]){ 0 });
    onnx_ints(g, "one1", 1, (const int64_t[]){ 1 });
    onnx_ints(g, "two1", 1, (const int64_t[]){ 2 });
    onnx_ints(g, "four1", 1, (const int64_t[]){ 4 });
    onnx_ints(g, "minus1", 1, (const int64_t[]){ -1 });
    onnx_ints(g, "most", 1, &most);
    onnx_ints(g, "far", 1, (const int64_t[]){ INT64_MAX });
    onnx_ints(g, "column", 2, (const int64_t[]){ -1, 1 });
    nms_number(g, "conf", 0.25f);
    nms_number(g, "iou", 0.5f);
    nms_number(g, "side", side);
    nms_number(g, "spread", 1.0f / (float)classes);
    nms_axis(g, "Gather", "boxes zero", "box0", "axis", 0);
    nms_axis(g, "Gather", "best zero", "score0", "axis", 0);
    nms_axis(g, "Gather", "class zero", "class0", "axis", 0);
    nms_axis(g, "Gather", "extras zero", "extra0", "axis", 0);
    onnx_node(g, "Greater", "score0 conf", "mask", NULL);
    nms_masked(g, "box0", "box_k");
    nms_masked(g, "score0", "score_k");
    nms_masked(g, "class0", "class_k");
    nms_masked(g, "extra0", "extra_k");
    onnx_node(g, "Div", "box_k side", "unit", NULL);
    onnx_node(g, "Mul", "unit spread", "small", NULL);
    {
        struct buffer cast = { 0 };
        nms_class_offsets(g);
        onnx_int_attribute(&cast, "to", ONNX_FLOAT);
        onnx_node(g, "Cast", "class_wide", "class_float", &cast);
    }
    onnx_node(g, "Mul", "class_float spread", "offset", NULL);
    onnx_node(g, "Slice", "small zero1 four1 one1", "small4", NULL);
    onnx_node(g, "Add", "small4 offset", "moved", NULL);
    onnx_node(g, "Slice", "small four1 far one1", "small_rest", NULL);
    nms_axis(g, "Concat", "moved small_rest", "nms_box", "axis", -1);
    onnx_node(g, "Unsqueeze", "nms_box zero1", "nms_boxes", NULL);
    onnx_node(g, "Unsqueeze", "score_k zero1", "score_row", NULL);
    onnx_node(g, "Unsqueeze", "score_row zero1", "nms_scores", NULL);
    onnx_node(g, "NonMaxSuppression", "nms_boxes nms_scores far iou", "kept", NULL);
    nms_axis(g, "Gather", "kept two1", "kept_box", "axis", 1);
    onnx_node(g, "Squeeze", "kept_box one1", "keep_all", NULL);
    onnx_node(g, "Slice", "keep_all zero1 most zero1", "keep", NULL);
    nms_axis(g, "Gather", "box_k keep", "box_n", "axis", 0);
    nms_axis(g, "Gather", "score_k keep", "score_n", "axis", 0);
    nms_axis(g, "Gather", "class_k keep", "class_n", "axis", 0);
    nms_axis(g, "Gather", "extra_k keep", "extra_n", "axis", 0);
    onnx_node(g, "Reshape", "score_n column", "score_c", NULL);
    onnx_node(g, "Reshape", "class_n column", "class_c", NULL);
    onnx_int_attribute(&d, "to", ONNX_FLOAT);
    onnx_node(g, "Cast", "class_c", "class_f", &d);
    nms_axis(g, "Concat", "box_n score_c class_f extra_n", "dets", "axis", -1);
    onnx_node(g, "Shape", "dets", "dets_shape", NULL);
    nms_axis(g, "Gather", "dets_shape zero1", "n", "axis", 0);
    onnx_node(g, "Sub", "most n", "missing", NULL);
    nms_axis(g, "Concat", "zero1 zero1 missing zero1", "pads", "axis", 0);
    onnx_node(g, "Pad", "dets pads", "full", NULL);
    onnx_node(g, "Unsqueeze", "full zero1", "update", NULL);
    {
        struct buffer at =
            onnx_tensor("at", ONNX_INT64, 2, (const int64_t[]){ 1, 1 }, &(int64_t){ 0 }, 8);
        pb_message(g, 5, &at);
    }
    onnx_ints(g, "out_shape", 3, (const int64_t[]){ 1, most, 6 });
    onnx_node(g, "ConstantOfShape", "out_shape", "out", NULL);
    onnx_node(g, "ScatterND", "out at update", to, NULL);
}

/*
 * boxes [1, anchors, 4] and scores [1, classes, anchors] to `picked` [k, 7] of image, box, then class
 * and score or the other way round: what end-to-end exports of YOLOv7 and YOLO-NAS come to.
 */
static inline void nms_flat(struct buffer *g, const char *boxes, const char *scores, const char *to,
                            int64_t most, bool score_first)
{
    struct buffer cast = { 0 }, cast2 = { 0 };
    char words[64];

    onnx_ints(g, "most", 1, &most);
    nms_number(g, "iou", 0.5f);
    nms_number(g, "conf", 0.25f);
    snprintf(words, sizeof words, "%.24s %.24s most iou conf", boxes, scores);
    onnx_node(g, "NonMaxSuppression", words, "kept", NULL);
    onnx_ints(g, "image_at", 1, (const int64_t[]){ 0 });
    onnx_ints(g, "class_at", 1, (const int64_t[]){ 1 });
    onnx_ints(g, "box_at", 1, (const int64_t[]){ 2 });
    onnx_ints(g, "image_box", 2, (const int64_t[]){ 0, 2 });
    nms_axis(g, "Gather", "kept image_at", "image_i", "axis", 1);
    nms_axis(g, "Gather", "kept class_at", "class_i", "axis", 1);
    nms_axis(g, "Gather", "kept image_box", "which_box", "axis", 1);
    onnx_int_attribute(&cast, "to", ONNX_FLOAT);
    onnx_node(g, "Cast", "image_i", "image_f", &cast);
    onnx_int_attribute(&cast2, "to", ONNX_FLOAT);
    onnx_node(g, "Cast", "class_i", "class_f", &cast2);
    snprintf(words, sizeof words, "%.24s which_box", boxes);
    onnx_node(g, "GatherND", words, "box_f", NULL);
    snprintf(words, sizeof words, "%.24s kept", scores);
    onnx_node(g, "GatherND", words, "score_i", NULL);
    onnx_node(g, "Unsqueeze", "score_i class_at", "score_f", NULL);
    nms_axis(g, "Concat",
             score_first ? "image_f box_f score_f class_f" : "image_f box_f class_f score_f", to, "axis",
             1);
}

#endif
