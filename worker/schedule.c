/*
 * Recurring work without a clock of its own: time is cut into slots of a kind's period, and the slot is
 * the key of the job, so that the database's unique index lets each slot be worked once, however many
 * workers there are. A slot during which no worker ran is left out, not made up for.
 */
#include <assert.h>
#include <stdio.h>
#include <time.h>

#include "worker/worker.h"

static enum status ask_for(struct worker *w, const char *kind, int64_t slot_s, struct fault *f)
{
    const time_t begin = (time_t)slot_s;
    char key[32];
    const struct param params[] = { p_text(kind), p_text(key) };
    const struct db_call call = { "SELECT domain.job_add(NULL, $1, $2)", params, 2 };
    PGresult *r = NULL;
    struct tm utc;
    enum status st;

    gmtime_r(&begin, &utc);
    strftime(key, sizeof key, "%Y-%m-%dT%H:%MZ", &utc);
    st = db_write(w->db, &call, 1, &r, f);
    PQclear(r);
    return st;
}

enum status schedule_due(struct schedule *s, struct worker *w, struct fault *f)
{
    const int64_t now_s = clock_wall_us() / 1000000;

    assert(njob_kinds <= sizeof s->slot / sizeof *s->slot);
    for (size_t i = 0; i < njob_kinds; i++) {
        const int period_s = job_kinds[i].period_s;
        const int64_t slot_s = period_s ? now_s - now_s % period_s : 0;
        enum status st;

        if (!period_s || s->slot[i] == slot_s)
            continue;
        if ((st = ask_for(w, job_kinds[i].name, slot_s, f)) != ST_OK)
            return st;
        s->slot[i] = slot_s;
    }
    return ST_OK;
}
