/*
 * The connections of a process, in slots that stay where they are. A slot is held by one thread at a
 * time; epoll reports a connection once for everything that arrives (edge-triggered), to any thread:
 *
 *     free --slots_take--> held --slot_release--> idle --slot_hold--> held ... --slots_give--> free
 *                           held --slot_hold, by another--> held, and something came meanwhile
 *
 * Since slots are never freed, a report that comes late, about a connection that has gone, finds a free
 * slot or another connection, where it does no harm: there is nothing to read.
 */
#ifndef FCGI_SLOTS_H
#define FCGI_SLOTS_H

#include <pthread.h>

#include "fcgi/connection.h"

struct slot {
    struct connection connection; /* of who holds the slot */
    _Atomic int state;
    struct slot *next; /* among the free ones */
};

struct slots {
    struct slot *all; /* LIMIT_CONNECTIONS */
    struct slot *free;
    size_t used; /* the first `used` have been taken at some time */
    atomic_size_t open;
    pthread_mutex_t lock; /* of `free` and `used` */
};

bool slots_init(struct slots *s);
void slots_destroy(struct slots *s);
struct slot *slots_take(struct slots *s); /* held by the caller; NULL: all are taken */
/* Closes the connection, whose slot the caller holds. */
void slots_give(struct slots *s, struct slot *slot);

/* False: somebody else holds it, who learns that something came; or it is free. */
bool slot_hold(struct slot *slot);
/* As slot_hold, but leaves no trace when it fails. */
bool slot_try_hold(struct slot *slot);
/* False: something came meanwhile; the caller holds it still and has to look. */
bool slot_release(struct slot *slot);

#endif
