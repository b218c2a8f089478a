/*
 * PyTorch checkpoints (.pt) as data: the ZIP archive, the pickle in it as a passive tree, the model's
 * card. Nothing in the file is run, imported or looked up.
 *
 * A checkpoint of the usual kind is a dict with the network, an object tree of modules, as "ema" or
 * "model": see tree.h for how to walk it, pt_model for where it is.
 */
#ifndef INFERENCE_PT_PT_H
#define INFERENCE_PT_PT_H

#include "inference/model/model.h"
#include "inference/predictor.h"
#include "inference/pt/tree.h"

struct pt_file;

/* Whether the bytes begin as a checkpoint does, of the present form or that before PyTorch 1.6. */
bool pt_is_checkpoint(const void *bytes, size_t n);

/*
 * Reads the archive and its pickle. The bytes must stay valid until pt_close: text and storages point
 * into them. ST_UNSUPPORTED: another kind of file (TorchScript, big-endian), with what to do.
 * ST_INVALID: damaged, contradictory, or asking to run what no model needs. ST_TOO_LARGE: names the
 * limit.
 */
enum status pt_open(const void *bytes, size_t n, struct pt_file **ret, struct fault *f) MUST_USE;
void pt_close(struct pt_file *p); /* accepts NULL */

const struct pt_value *pt_root(const struct pt_file *p);
size_t pt_values(const struct pt_file *p); /* ids of values are below this */

/* The i-th name that the file mentions and the allow list lacks, in the order met; NULL behind the last.
 */
const struct pt_global *pt_unknown(const struct pt_file *p, size_t i);

/*
 * The network: "ema" when it is a module, else "model", else the root itself. ST_UNSUPPORTED: weights
 * without a network, or a class that is unknown here (named).
 */
enum status pt_model(const struct pt_file *p, const struct pt_value **ret, struct fault *f) MUST_USE;

/* Weights of a module and all below it, each tensor once. ST_TOO_LARGE: nested beyond
 * LIMIT_PICKLE_DEPTH. */
enum status pt_count_parameters(const struct pt_file *p, const struct pt_value *module, int64_t *ret,
                                struct fault *f) MUST_USE;

/* The card of an open checkpoint, not runnable; release with model_card_free. */
enum status pt_card_of(const struct pt_file *p, struct model_card **ret, struct fault *f) MUST_USE;

/* The card of a checkpoint; release with model_card_free. Not runnable: why_not says what to do. */
enum status pt_card_read(const void *bytes, size_t n, struct model_card **ret, struct fault *f) MUST_USE;

/*
 * A checkpoint as a model like that of an ONNX export of the same network: one input "images"
 * [1, planes, H, W] with unbound sides, the outputs of heads.c, notes with the keys of exports'
 * metadata. Unverified, as onnx_read gives it; release with model_free. The bytes are not needed
 * afterwards. ST_UNSUPPORTED names the layer and the class of module that this build has no row for.
 */
enum status pt_read(const void *bytes, size_t n, struct model **ret, struct fault *f) MUST_USE;
/* The same; weights are always converted, hence VIEWED is as COPIED. OUTLINED: large ones are not. */
enum status pt_read_as(const void *bytes, size_t n, enum onnx_weights weights, struct model **ret,
                       struct fault *f) MUST_USE;

#endif
