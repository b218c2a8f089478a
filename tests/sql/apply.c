/*
 * apply run|check CONNINFO [SQL_DIR]: migrate_run and migrate_check by hand, for the tests of sql/.
 * check prints "current" or "stale". Exit code: 0, or 1 with the fault on stderr.
 */
#include <stdio.h>
#include <string.h>

#include "domain/migrate.h"

int main(int argc, char **argv)
{
    struct fault f = FAULT_INIT;
    bool current = false;
    enum status st;
    PGconn *c;

    if (argc < 3) {
        fprintf(stderr, "usage: apply run|check CONNINFO [SQL_DIR]\n");
        return 2;
    }
    const char *dir = argc > 3 ? argv[3] : "sql";

    c = PQconnectdb(argv[2]);
    if (PQstatus(c) != CONNECTION_OK) {
        st = fault_set(&f, ST_UNAVAILABLE, NULL, "%.180s", PQerrorMessage(c));
    } else if (strcmp(argv[1], "check") == 0) {
        if ((st = migrate_check(c, dir, &current, &f)) == ST_OK)
            puts(current ? "current" : "stale");
    } else {
        st = migrate_run(c, dir, stdout, &f);
    }
    PQfinish(c);
    if (st != ST_OK)
        fprintf(stderr, "%s: %s\n", status_name(st), f.detail);
    return st == ST_OK ? 0 : 1;
}
