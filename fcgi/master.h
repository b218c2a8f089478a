/*
 * The small master of a pool: keeps n children on the socket at fd 0, restarts what dies, rolls over on
 * HUP without losing a request, drains on TERM. Children are the same program again (exec), so a reload
 * takes new settings; a new release needs a restart. When the master dies its children stop accepting at
 * once and finish what they have.
 */
#ifndef FCGI_MASTER_H
#define FCGI_MASTER_H

/* Runs until TERM or INT. argv is what the children are started with, "--child" added. Returns an exit
 * code. */
int master_run(int nchildren, char **argv);

/* In a child: tells the master that this child serves. */
void master_child_ready(void);

#endif
