/*
 * The accuracy gate: tries each cheaper precision of this processor on a model's weights and writes the
 * verdicts down (sql/domain/58_precision.sql). Automatic precision is the fastest that passed. Before
 * that it checks the float32 kernels (plan_trial.h); layers that it finds wrong are avoided by the
 * trials too. May be run at any time and any number of times; the last word holds. Docs:
 * docs/inference.md, Precision.
 */
#ifndef DOMAIN_PRECISION_GATE_H
#define DOMAIN_PRECISION_GATE_H

#include "domain/trial.h"

/*
 * file: data.model_file.id. ST_NOT_FOUND: gone, in the trash, or nothing that could be run. *ret_tried:
 * verdicts written; fewer than there are candidates when step wanted to stop. The connection is the
 * owner's.
 */
enum status precision_gate(struct db *db, struct store *store, int64_t file, const struct stepper *step,
                           int *ret_tried, struct fault *f) MUST_USE;

/* Asks for a trial of every model that no check or no verdict holds for on this processor; *ret: how
 * many are new. */
enum status precision_queue(struct db *db, int at_most, int64_t *ret, struct fault *f) MUST_USE;

/* Of domain.precision_choices: what automatic precision is here. PRECISION_F32 when they are silent. */
enum precision precision_chosen(const char *choices);

/* Of domain.plan_avoided: what plans avoid here. An empty list when it is silent, or not a list. */
struct avoided plan_avoided(const char *rows);

#endif
