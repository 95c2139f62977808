/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/list.h"
#include "base/growing.h"
#include "source/source.h"

/* More nodes than any list that a view walks; PID_MAX_LIMIT is 4 Mi (include/linux/threads.h). */
#define NODE_LIMIT (1u << 23)

/* In a row, until what does not agree is damage and no change. */
#define RETRY_LIMIT 64u

void list_begin(struct list_walk *walk, struct kioku_kernel *kernel, uint64_t head,
		const char *what)
{
	*walk = (struct list_walk){ .kernel = kernel, .what = what, .head = head, .at = head };
}

void list_watch(struct list_walk *walk, const struct list_nodes *nodes)
{
	walk->nodes = nodes;
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

/* --- lists that change */

static uint64_t identity_of(struct list_walk *walk, uint64_t node)
{
	return node == walk->head ? 0
				  : walk->nodes->identity(walk->kernel, walk->nodes->user, node);
}

static bool note_visit(struct list_walk *walk, uint64_t node)
{
	if (!GROW(walk->path, walk->path_count, walk->path_capacity))
		return false;
	walk->path[walk->path_count++] = (struct list_visit){ node, identity_of(walk, node) };
	return true;
}

/* Whether the node that the walk stands on is in the list now, and still the one that was given. */
static bool is_linked(struct list_walk *walk)
{
	uint8_t raw[16], before[8];

	if (walk->path_count == 0)
		return true;
	const struct list_visit *visit = &walk->path[walk->path_count - 1];
	if (kernel_read(walk->kernel, visit->node, raw, sizeof(raw), NULL) != KIOKU_OK ||
	    !kernel_is_pointer(walk->kernel, load_le64(raw + 8)) ||
	    kernel_read(walk->kernel, load_le64(raw + 8), before, sizeof(before), NULL) != KIOKU_OK)
		return false;
	return load_le64(before) == visit->node &&
	       identity_of(walk, visit->node) == visit->identity;
}

/* Goes back to the last node that is in the list: its head always is. False: this leads nowhere. */
static bool step_back(struct list_walk *walk)
{
	if (!walk->nodes || walk->backwards || walk->retries++ == RETRY_LIMIT)
		return false;
	source_age(walk->kernel->source);
	source_age(walk->kernel->source);
	while (!is_linked(walk))
		walk->has_left |= --walk->path_count == walk->given;
	walk->at = walk->path_count ? walk->path[walk->path_count - 1].node : walk->head;
	kernel_forget(walk->kernel, walk->at, 16);
	return true;
}

/* What a set of seen nodes holds: of another node at the same address something else. */
static uint64_t seen_key(struct list_walk *walk, uint64_t node)
{
	return walk->nodes ? node ^ identity_of(walk, node) << 40 : node;
}

/* --- steps */

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

/* One step from walk->at; false when this direction has no more, or has to be gone again. */
static bool step(struct list_walk *walk, uint64_t *node)
{
	uint64_t next, back, beyond;

	if (!read_links(walk, walk->at, &next, &back)) {
		if (!step_back(walk))
			give_up(walk, walk->at, "unreadable");
		return false;
	}
	if (walk->nodes && kernel_is_pointer(walk->kernel, next) && next % 8 == 0) {
		kernel_forget(walk->kernel, next, 16);
		if (next != walk->head)
			walk->nodes->fetch(walk->kernel, walk->nodes->user, next);
	}
	if (next == walk->head) {
		if (walk->nodes && read_links(walk, next, &beyond, &back) && back != walk->at &&
		    step_back(walk))
			return false;
		/* A list with damage on the way is walked from its other end too. */
		walk->ended = walk->backwards || !walk->damaged;
		walk->backwards = true;
		walk->at = walk->head;
		return false;
	}
	if (!read_links(walk, next, &beyond, &back)) {
		if (!step_back(walk))
			give_up(walk, walk->at, "it points at nothing");
		return false;
	}
	if (back != walk->at && step_back(walk))
		return false;
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
	walk->has_left = false;
	walk->retries = 0;
	while (!walk->ended) {
		if (walk->seen.count >= NODE_LIMIT) {
			give_up(walk, walk->at, "it does not end");
			walk->ended = true;
			break;
		}
		if (!step(walk, node))
			continue;
		enum address_set_result added = address_set_add(&walk->seen, seen_key(walk, *node));
		if (walk->nodes && !walk->backwards && !note_visit(walk, *node))
			added = ADDRESS_NO_MEMORY;
		switch (added) {
		case ADDRESS_ADDED: walk->given = walk->path_count - 1; return true;
		case ADDRESS_NO_MEMORY:
			give_up(walk, *node, "out of memory");
			walk->ended = true;
			break;
		case ADDRESS_KNOWN:
			/*
			 * Forwards, a cycle. Backwards, a part that was walked already; before it
			 * there may be one that a wrong pointer jumped over.
			 */
			if (!(walk->backwards || walk->nodes) || ++walk->repeats > walk->seen.count)
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
	free(walk->path);
	address_set_release(&walk->seen);
}
