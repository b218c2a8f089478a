/* fovea model condemned, fovea model enable: see condemned.c. */
#ifndef CLI_CONDEMNED_H
#define CLI_CONDEMNED_H

#include "cli/cli.h"

enum status condemned_list(struct cli *c, struct fault *f) MUST_USE;
enum status condemned_enable(struct cli *c, struct fault *f) MUST_USE;

#endif
