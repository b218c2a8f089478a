/* One thread per process: hears of revoked keys by NOTIFY and writes the counts that were kept in
 * memory. */
#ifndef FCGI_LISTENER_H
#define FCGI_LISTENER_H

#include "fcgi/context.h"

struct listener;

struct listener *listener_start(struct context *ctx); /* NULL: no thread could be made */
void listener_stop(struct listener *l);               /* waits; the last counts are written */

#endif
