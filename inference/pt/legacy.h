/*
 * Checkpoints as PyTorch before 1.6 wrote them: five pickles one after the other (a magic number, the
 * version 1001, the system, the object, a list of storage keys), then for each key a count of elements,
 * 64 bits, and the elements. Little-endian. Source: the container's description in PyTorch's
 * serialization notes.
 */
#ifndef INFERENCE_PT_LEGACY_H
#define INFERENCE_PT_LEGACY_H

#include "inference/pt/pickle.h"

bool legacy_is(const void *bytes, size_t n); /* begins with the magic number */

/*
 * pk->text is the whole file. ST_INVALID: damaged, or storages that the object and the list do not
 * agree on; ST_UNSUPPORTED: another version, big-endian, storages that are parts of others.
 */
enum status legacy_read(struct pickle *pk, const struct pt_value **ret) MUST_USE;

#endif
