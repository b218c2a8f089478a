/* fovea model gate, fovea model list: see gate.c. */
#ifndef CLI_GATE_H
#define CLI_GATE_H

#include "cli/cli.h"

enum status gate_run(struct cli *c, struct fault *f) MUST_USE;
enum status gate_list(struct cli *c, struct fault *f) MUST_USE;

#endif
