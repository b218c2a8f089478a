/* fovea model gate, fovea model list: see gate.c. */
#ifndef CLI_GATE_H
#define CLI_GATE_H

#include "cli/cli.h"
#include "domain/calibration.h"

/* The weights of the stored model whose id is the command's argument. ST_NOT_FOUND: or that are never
 * run. */
enum status stored_weights(struct cli *c, struct db *db, struct calibration_subject *ret,
                           struct fault *f) MUST_USE;
enum status gate_run(struct cli *c, struct fault *f) MUST_USE;
enum status gate_list(struct cli *c, struct fault *f) MUST_USE;

#endif
