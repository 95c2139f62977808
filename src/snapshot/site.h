/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where in a target something can be injected: instructions, and a thread. */
#ifndef SNAPSHOT_SITE_H
#define SNAPSHOT_SITE_H

#include "format/maps_format.h"
#include "snapshot/injection.h"
#include "snapshot/tracee.h"

/* What is known of a target before it is stopped. */
struct site {
	struct gadgets gadgets;
	const struct mapping_list *mappings; /* borrowed */
	bool other_namespace;                /* it counts processes differently from us */
};

/* Looks for instructions in executable mappings, while the target runs. */
void site_find_gadgets(struct site *site, pid_t pid);

/* Whether they are still there, and there is one to make a call with. */
bool site_holds(const struct site *site, pid_t pid);

/*
 * The stopped thread, with its record read, that is disturbed least: one that waits in the kernel,
 * and has a stack that ends in a guard, where a signal handler could run, and so a frame can lie. (Of
 * coroutines, which have small stacks within other memory, nobody could say that.) NULL: none has
 * stopped.
 */
struct tracee_thread *site_choose(const struct site *site, const struct tracee *tracee,
				  bool *has_stack);

/* REFUSED, as no thread stops in which a call could be made. */
enum kioku_status site_refuse(pid_t pid, struct kioku_error *error);

/*
 * Makes one call in the thread that is disturbed least, of those stopped; *result is what it returned.
 * has_child: it is clone(2), and its child is ours. deadline: of wait_now(). The injection tells
 * afterwards what was done. Errors: UNSUPPORTED (no instruction to run, no thread that stops); those
 * of injection_call().
 */
enum kioku_status site_call(const struct site *site, struct tracee *tracee,
			    struct injection *injection, long number, const uint64_t arguments[6],
			    bool has_child, uint64_t deadline, int64_t *result,
			    struct kioku_error *error);

#endif
