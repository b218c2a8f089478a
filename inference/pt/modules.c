/* The table of module classes: a row for each that this build can run. */
#include "inference/pt/modules.h"

#include <string.h>

static const struct row {
    const char *class;
    MODULE_ONE((*one));
    MODULE_MANY((*many));
} rows[] = {
    /* PyTorch */
    { "Sequential", layer_sequential, NULL },
    { "Conv2d", layer_conv, NULL },
    { "ConvTranspose2d", layer_conv, NULL },
    { "BatchNorm2d", layer_batchnorm, NULL },
    { "Linear", layer_linear, NULL },
    { "Identity", layer_identity, NULL },
    { "Dropout", layer_identity, NULL },
    { "Dropout2d", layer_identity, NULL },
    { "SiLU", layer_silu, NULL },
    { "ReLU", layer_relu, NULL },
    { "ReLU6", layer_relu6, NULL },
    { "LeakyReLU", layer_leaky_relu, NULL },
    { "Hardswish", layer_hard_swish, NULL },
    { "Hardsigmoid", layer_hard_sigmoid, NULL },
    { "Sigmoid", layer_sigmoid, NULL },
    { "Tanh", layer_tanh, NULL },
    { "GELU", layer_gelu, NULL },
    { "Mish", layer_mish, NULL },
    { "Softmax", layer_softmax, NULL },
    { "Upsample", layer_upsample, NULL },
    { "MaxPool2d", layer_max_pool, NULL },
    { "AvgPool2d", layer_average_pool, NULL },
    { "AdaptiveAvgPool2d", layer_global_pool, NULL },
    { "Flatten", layer_flatten, NULL },
    { "ZeroPad2d", layer_zero_pad, NULL },
    /* YOLOv5, v8 and what all share */
    { "Conv", block_conv, NULL },
    { "DWConv", block_conv, NULL },
    { "ConvTranspose", block_conv_transpose, NULL },
    { "DWConvTranspose2d", layer_conv, NULL },
    { "Conv2", block_conv2, NULL },
    { "LightConv", block_chain2, NULL },
    { "Focus", block_focus, NULL },
    { "GhostConv", block_ghost_conv, NULL },
    { "GhostBottleneck", block_ghost_bottleneck, NULL },
    { "Bottleneck", block_bottleneck, NULL },
    { "CrossConv", block_bottleneck, NULL },
    { "BottleneckCSP", block_bottleneck_csp, NULL },
    { "C1", block_c1, NULL },
    { "C2", block_c2, NULL },
    { "C2f", block_c2f, NULL },
    { "C3", block_c3, NULL },
    { "C3x", block_c3, NULL },
    { "C3Ghost", block_c3, NULL },
    { "C3SPP", block_c3, NULL },
    { "SPP", block_spp, NULL },
    { "SPPF", block_sppf, NULL },
    { "Proto", block_proto, NULL },
    { "Concat", NULL, block_concat },
    { "Silence", layer_identity, NULL },
    /* v9 */
    { "RepConv", block_rep_conv, NULL },
    { "RepBottleneck", block_bottleneck, NULL },
    { "RepCSP", block_c3, NULL },
    { "RepC3", block_rep_c3, NULL },
    { "ELAN1", block_elan, NULL },
    { "RepNCSPELAN4", block_elan, NULL },
    { "ADown", block_adown, NULL },
    { "AConv", block_aconv, NULL },
    { "SPPELAN", block_sppelan, NULL },
    { "CBLinear", NULL, block_cb_linear },
    { "CBFuse", NULL, block_cb_fuse },
    /* v10 */
    { "SCDown", block_chain2, NULL },
    { "CIB", block_cib, NULL },
    { "C2fCIB", block_c2f, NULL },
    { "RepVGGDW", block_rep_dw, NULL },
    { "PSA", block_psa, NULL },
    { "Attention", block_attention, NULL },
    /* 11, 12, 26 */
    { "C3k", block_c3, NULL },
    { "C3k2", block_c2f, NULL },
    { "C2PSA", block_c2psa, NULL },
    { "C2fPSA", block_c2f, NULL },
    { "PSABlock", block_psa_block, NULL },
    { "A2C2f", block_a2c2f, NULL },
    { "ABlock", block_area, NULL },
    { "AAttn", block_area_attention, NULL },
    { "Proto26", NULL, block_proto_fused },
    /* heads */
    { "Detect", NULL, head_boxes },
    { "v10Detect", NULL, head_boxes },
    { "Segment", NULL, head_boxes },
    { "Segment26", NULL, head_boxes },
    { "Pose", NULL, head_boxes },
    { "Pose26", NULL, head_boxes },
    { "OBB", NULL, head_boxes },
    { "OBB26", NULL, head_boxes },
    { "Classify", NULL, head_classes },
};

static const struct row *row_of(const struct pt_value *module)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (pt_has_class(module, rows[i].class))
            return &rows[i];
    return NULL;
}

/* Modules may contain themselves, or one module very often. */
static const struct row *enter(struct build *b, const struct pt_value *module)
{
    const struct row *row = pt_is_module(module) ? row_of(module) : NULL;

    if (b->st != ST_OK)
        return NULL;
    if (!row)
        build_fail(b, ST_UNSUPPORTED, module, "this class of module is unknown here");
    else if (b->depth >= LIMIT_PT_DEPTH)
        build_fail(b, ST_TOO_LARGE, module, "modules are nested in more than %d levels", LIMIT_PT_DEPTH);
    else if (++b->runs > LIMIT_PT_RUNS)
        build_fail(b, ST_TOO_LARGE, module, "the network has more than %d modules", LIMIT_PT_RUNS);
    return b->st == ST_OK ? row : NULL;
}

struct feature build_run_many(struct build *b, const struct pt_value *module,
                              const struct feature *const x[], int n)
{
    const struct row *row = enter(b, module);
    struct feature y = { 0 };

    if (!row)
        return y;
    b->depth++;
    if (row->many)
        y = row->many(b, module, x, n);
    else
        feature_add(b, &y, row->one(b, module, x[0]->at[0]));
    b->depth--;
    return y;
}

int build_run(struct build *b, const struct pt_value *module, int x)
{
    const struct feature in = { 1, { x } }, *const ins[] = { &in };
    const struct feature y = build_run_many(b, module, ins, 1);

    return b->st == ST_OK && y.n ? y.at[0] : GRAPH_NONE;
}
