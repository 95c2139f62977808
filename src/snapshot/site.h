/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where in a target something can be injected: instructions, and a thread. */
#ifndef SNAPSHOT_SITE_H
#define SNAPSHOT_SITE_H

#include "format/maps_format.h"
#include "snapshot/signal_frame.h"
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

#endif
