/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A copy-on-write copy of a stopped process: a child that one of its threads is made to have by an
 * injected clone(2). It is ours by CLONE_PTRACE from its first instant and never runs; it sends no
 * SIGCHLD, and only a wait(2) with __WALL or __WCLONE would find it.
 */
#ifndef SNAPSHOT_DUPLICATE_H
#define SNAPSHOT_DUPLICATE_H

#include "snapshot/errand.h"

struct duplicate {
	pid_t pid;       /* as we see it; 0: there is none */
	pid_t inner_pid; /* as the target sees it */
	bool is_framed;  /* the target would have come back by itself, had we died meanwhile */
	struct injection injection;
};

/*
 * Duplicates a stopped process whose records have been read. deadline: of wait_now(), for all of it.
 * Errors: UNSUPPORTED (no instruction to run), REFUSED (no thread stops), OS (the clone failed: os_errno
 * says why), LIMIT, NOT_FOUND.
 */
enum kioku_status duplicate_make(struct duplicate *duplicate, struct tracee *tracee,
				 const struct site *site, uint64_t deadline,
				 struct kioku_error *error);

/*
 * Once the target goes on: sees to it that the duplicate ends with us, ends before anybody else when
 * memory runs out, and has on its stack what the target had. Errors: NOT_FOUND (it has been killed), LIMIT (it
 * does not stop in 10 s).
 */
enum kioku_status duplicate_settle(struct duplicate *duplicate, struct kioku_error *error);

/* Ends it. The target's table of processes still has it: duplicate_reap(). */
void duplicate_kill(struct duplicate *duplicate);

/*
 * Has a thread of the target, which runs, take the dead duplicate off its table. Errors: those of
 * errand_call().
 */
enum kioku_status duplicate_reap(struct duplicate *duplicate, struct errand *errand,
				 struct kioku_error *error);

#endif
