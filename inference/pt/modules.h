/*
 * What each class of module computes: functions for the rows of modules.c, by family. x may be
 * GRAPH_NONE after a failure (build.h).
 */
#ifndef INFERENCE_PT_MODULES_H
#define INFERENCE_PT_MODULES_H

#include "inference/pt/build.h"

/*
 * A class takes one tensor and gives one, or takes what n > 0 layers gave, each at least one tensor, and
 * gives a list.
 */
#define MODULE_ONE(name) int name(struct build *b, const struct pt_value *m, int x)
#define MODULE_MANY(name)                                                                               \
    struct feature name(struct build *b, const struct pt_value *m, const struct feature *const x[],     \
                        int n)

/* layers.c: PyTorch's own */
MODULE_ONE(layer_identity);
MODULE_ONE(layer_sequential);
MODULE_ONE(layer_conv);
MODULE_ONE(layer_batchnorm);
MODULE_ONE(layer_silu);
MODULE_ONE(layer_relu);
MODULE_ONE(layer_relu6);
MODULE_ONE(layer_leaky_relu);
MODULE_ONE(layer_hard_swish);
MODULE_ONE(layer_hard_sigmoid);
MODULE_ONE(layer_sigmoid);
MODULE_ONE(layer_tanh);
MODULE_ONE(layer_gelu);
MODULE_ONE(layer_mish);
MODULE_ONE(layer_softmax);
MODULE_ONE(layer_upsample);
MODULE_ONE(layer_max_pool);
MODULE_ONE(layer_average_pool);
MODULE_ONE(layer_global_pool);
MODULE_ONE(layer_flatten);
MODULE_ONE(layer_linear);
MODULE_ONE(layer_zero_pad);

/* blocks.c: the convolutional blocks of the YOLO families */
MODULE_ONE(block_conv);
MODULE_ONE(block_conv_transpose);
MODULE_ONE(block_conv2);
MODULE_ONE(block_rep_conv);
MODULE_ONE(block_rep_dw);
MODULE_ONE(block_chain2);
MODULE_ONE(block_focus);
MODULE_ONE(block_ghost_conv);
MODULE_ONE(block_ghost_bottleneck);
MODULE_ONE(block_bottleneck);
MODULE_ONE(block_bottleneck_csp);
MODULE_ONE(block_c1);
MODULE_ONE(block_c2);
MODULE_ONE(block_c3);
MODULE_ONE(block_c2f);
MODULE_ONE(block_rep_c3);
MODULE_ONE(block_cib);
MODULE_ONE(block_spp);
MODULE_ONE(block_sppf);
MODULE_ONE(block_elan);
MODULE_ONE(block_adown);
MODULE_ONE(block_aconv);
MODULE_ONE(block_sppelan);
MODULE_ONE(block_proto);

MODULE_MANY(block_concat);
MODULE_MANY(block_cb_linear);
MODULE_MANY(block_cb_fuse);
MODULE_MANY(block_proto_fused);

/* attention.c */
MODULE_ONE(block_attention);
MODULE_ONE(block_area_attention);
MODULE_ONE(block_area);
MODULE_ONE(block_psa);
MODULE_ONE(block_psa_block);
MODULE_ONE(block_c2psa);
MODULE_ONE(block_a2c2f);

/* heads.c: what they give are outputs of the graph */
MODULE_MANY(head_boxes);
MODULE_MANY(head_classes);

#endif
