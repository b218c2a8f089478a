/*
 * The thread that looks after the runs of a process: one that hangs ends the process (its master starts
 * another), verdicts of the black box are recorded in the database as soon as that can be reached.
 */
#ifndef DOMAIN_WATCHDOG_H
#define DOMAIN_WATCHDOG_H

#include "domain/blackbox.h"
#include "domain/gate.h"

struct watchdog;

/*
 * runs: the gate that every noted piece of work has taken one unit of; it is closed before the process
 * ends, and those who still get through have half a second. dsn: where verdicts are recorded, or NULL.
 * NULL: no thread could be made.
 */
struct watchdog *watchdog_start(struct blackbox *b, struct gate *runs, const char *dsn);
void watchdog_stop(struct watchdog *w); /* accepts NULL */

#endif
