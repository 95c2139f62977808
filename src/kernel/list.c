/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/list.h"

/* More nodes than any list that a view walks; PID_MAX_LIMIT is 4 Mi (include/linux/threads.h). */
#define NODE_LIMIT (1u << 23)

void list_begin(struct list_walk *walk, struct kioku_kernel *kernel, uint64_t head,
		const char *what)
{
	*walk = (struct list_walk){ .kernel = kernel, .what = what, .head = head, .at = head };
}

/* The branch ends here. What is behind the damage may still be reached backwards. */
static void give_up(struct list_walk *walk, uint64_t at, const char *why)
{
	diagnose(&walk->kernel->diagnostics, KIOKU_GAP, "%s: damaged at 0x%llx (%s), walking %s",
		 walk->what, (unsigned long long)at, why,
		 walk->backwards ? "backwards; what lies between is lost" : "forwards");
	walk->damaged = true;
	if (walk->backwards)
		walk->ended = true;
	walk->at = walk->head;
	walk->backwards = true;
}

static bool read_links(struct list_walk *walk, uint64_t node, uint64_t *next, uint64_t *back)
{
	uint8_t raw[16];

	if (node % 8 || !kernel_is_pointer(walk->kernel, node) ||
	    kernel_read(walk->kernel, node, raw, sizeof(raw), NULL) != KIOKU_OK)
		return false;
	*next = load_le64(walk->backwards ? raw + 8 : raw);
	*back = load_le64(walk->backwards ? raw : raw + 8);
	return true;
}

/* One step from walk->at; false when this direction has no more. */
static bool step(struct list_walk *walk, uint64_t *node)
{
	uint64_t next, back, beyond;

	if (!read_links(walk, walk->at, &next, &back)) {
		give_up(walk, walk->at, "unreadable");
		return false;
	}
	if (next == walk->head) {
		/* A list with damage on the way is walked from its other end too. */
		walk->ended = walk->backwards || !walk->damaged;
		walk->backwards = true;
		walk->at = walk->head;
		return false;
	}
	if (!read_links(walk, next, &beyond, &back)) {
		give_up(walk, walk->at, "it points at nothing");
		return false;
	}
	walk->doubtful = back != walk->at;
	if (walk->doubtful && !walk->damaged) {
		diagnose(&walk->kernel->diagnostics, KIOKU_GAP,
			 "%s: 0x%llx does not point back at 0x%llx", walk->what,
			 (unsigned long long)next, (unsigned long long)walk->at);
		walk->damaged = true;
	}
	walk->at = next;
	*node = next;
	return true;
}

bool list_next(struct list_walk *walk, uint64_t *node)
{
	while (!walk->ended) {
		if (walk->seen.count >= NODE_LIMIT) {
			give_up(walk, walk->at, "it does not end");
			walk->ended = true;
			break;
		}
		if (!step(walk, node))
			continue;
		switch (address_set_add(&walk->seen, *node)) {
		case ADDRESS_ADDED: return true;
		case ADDRESS_NO_MEMORY:
			give_up(walk, *node, "out of memory");
			walk->ended = true;
			break;
		case ADDRESS_KNOWN:
			/*
			 * Forwards, a cycle. Backwards, a part that was walked already; before it
			 * there may be one that a wrong pointer jumped over.
			 */
			if (!walk->backwards || ++walk->repeats > walk->seen.count)
				give_up(walk, *node, "it runs in a circle");
			break;
		}
	}
	return false;
}

void list_reject(struct list_walk *walk, const char *why)
{
	give_up(walk, walk->at, why);
}

void list_end(struct list_walk *walk)
{
	address_set_release(&walk->seen);
}
