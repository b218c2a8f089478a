/* See slots.h. */
#include "fcgi/slots.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/limits.h"

enum { FREE, IDLE, HELD, HELD_AND_MORE };

bool slots_init(struct slots *s)
{
    *s = (struct slots){ .all = calloc(LIMIT_CONNECTIONS, sizeof *s->all) };
    return s->all && pthread_mutex_init(&s->lock, NULL) == 0;
}

void slots_destroy(struct slots *s)
{
    for (size_t i = 0; i < s->used; i++)
        fastcgi_free(&s->all[i].connection.fastcgi);
    free(s->all);
    pthread_mutex_destroy(&s->lock);
}

struct slot *slots_take(struct slots *s)
{
    struct slot *slot = NULL;

    pthread_mutex_lock(&s->lock);
    if ((slot = s->free)) /* the last one used is the warmest */
        s->free = slot->next;
    else if (s->used < LIMIT_CONNECTIONS)
        slot = &s->all[s->used++];
    pthread_mutex_unlock(&s->lock);
    if (!slot)
        return NULL;
    atomic_fetch_add(&s->open, 1);
    atomic_store(&slot->state, HELD);
    return slot;
}

void slots_give(struct slots *s, struct slot *slot)
{
    if (slot->connection.fd >= 0)
        close(slot->connection.fd);
    fastcgi_clear(&slot->connection.fastcgi);
    atomic_store(&slot->state, FREE);
    pthread_mutex_lock(&s->lock);
    slot->next = s->free;
    s->free = slot;
    pthread_mutex_unlock(&s->lock);
    atomic_fetch_sub(&s->open, 1);
}

bool slot_try_hold(struct slot *slot)
{
    int was = IDLE;

    return atomic_compare_exchange_strong(&slot->state, &was, HELD);
}

bool slot_hold(struct slot *slot)
{
    for (;;) {
        int was = HELD;

        if (slot_try_hold(slot))
            return true;
        if (atomic_compare_exchange_strong(&slot->state, &was, HELD_AND_MORE) || was != IDLE)
            return false; /* told its holder; it knows already; or the slot is free */
    }
}

bool slot_release(struct slot *slot)
{
    int was = HELD;

    if (atomic_compare_exchange_strong(&slot->state, &was, IDLE))
        return true;
    atomic_store(&slot->state, HELD);
    return false;
}
