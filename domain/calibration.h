/*
 * The calibration of stored weights, for int8 (inference/quantise): made from pictures of the model's
 * own datasets or from given ones, kept as a file of the media store and a row
 * (sql/domain/58_precision.sql). One for each file of weights, the newest. The connection is the
 * owner's.
 */
#ifndef DOMAIN_CALIBRATION_H
#define DOMAIN_CALIBRATION_H

#include "base/text.h"
#include "domain/admin.h"
#include "inference/quantise/calibration.h"
#include "media/store.h"

struct calibration_subject {
    int64_t file; /* data.model_file.id */
    struct digest weights;
    int64_t held; /* pictures in the model's datasets */
};

/* ---- keeping (calibration.c) ---- */

/* The stored file with this digest, if it is a calibration of these weights. ST_INVALID: it is not, or
 * of another version; ST_NOT_FOUND: it is missing. Caller frees. */
enum status model_calibration_read(struct store *store, const struct digest *weights,
                                   const struct digest *digest, struct calibration **ret,
                                   struct fault *f) MUST_USE;

enum calibration_source { CALIBRATED_DATASET, CALIBRATED_GIVEN };

struct kept_calibration {
    struct digest digest;
    int64_t held; /* when it was made */
    enum calibration_source source;
    bool own_release; /* made by this one */
};
/* *ret_found false: the weights have none. */
enum status model_calibration_find(struct db *db, int64_t file, struct kept_calibration *ret,
                                   bool *ret_found, struct fault *f) MUST_USE;

/* bytes: as calibration_write makes them, published here. ST_NOT_FOUND: the weights are gone. */
enum status model_calibration_keep(struct db *db, struct store *store,
                                   const struct calibration_subject *s, const struct buffer *bytes,
                                   int pictures, enum calibration_source source, struct digest *ret,
                                   struct fault *f) MUST_USE;

/* ---- making (calibration_make.c) ---- */

/* What the gate has to work with. */
struct calibration_state {
    bool there;
    struct digest digest;
    char why_not[160]; /* one sentence, unless there */
};

/*
 * Makes and keeps a calibration from LIMIT_CALIBRATED_PICTURES of the datasets' pictures, in a process
 * of its own (child.h), unless there is one that holds: made by hand, or by this release when there were
 * more than half as many pictures. Pictures that trials look at are left out where there are enough
 * others. *ret_ended false: step wanted to stop. What could not be made is no failure: the one before
 * stays, or ret->why_not says why there is none.
 */
enum status model_calibration_ensure(struct db *db, struct store *store,
                                     const struct calibration_subject *s, const struct stepper *step,
                                     struct calibration_state *ret, bool *ret_ended,
                                     struct fault *f) MUST_USE;

/* The same whatever there is. */
enum status model_calibration_renew(struct db *db, struct store *store,
                                    const struct calibration_subject *s, const struct stepper *step,
                                    struct calibration_state *ret, bool *ret_ended,
                                    struct fault *f) MUST_USE;

#endif
