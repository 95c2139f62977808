/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>

#include "tree.h"

/* A hostile image can nest without end; deeper nodes say their depth in figures. */
enum { DRAWN_LEVELS = 40 };

void tree_connect(struct tree_node *nodes, size_t count, size_t stride)
{
	uint64_t open = 0;

	/* Backwards, so that what follows a node is known when it is met. */
	for (size_t i = count; i-- > 0;) {
		struct tree_node *node = (struct tree_node *)((char *)nodes + i * stride);
		uint64_t depth = node->depth > DRAWN_LEVELS ? DRAWN_LEVELS : node->depth;
		node->later = open;
		/* The levels below were this node's own children. */
		open = (open & ((1ULL << depth) - 1)) | 1ULL << depth;
	}
}

unsigned tree_draw(FILE *file, const struct tree_node *node, bool ascii)
{
	uint64_t levels = node->depth > DRAWN_LEVELS ? DRAWN_LEVELS : node->depth;
	unsigned width = 0;

	for (uint64_t level = 1; level <= levels; level++) {
		bool later = node->later & 1ULL << level;
		if (file && level < levels)
			fputs(later ? (ascii ? "|  " : "│  ") : "   ", file);
		else if (file)
			fputs(later ? (ascii ? "|- " : "├─ ") : (ascii ? "`- " : "└─ "), file);
		width += 3;
	}
	if (node->depth > DRAWN_LEVELS) {
		char text[32];
		width += (unsigned)snprintf(text, sizeof(text), "(%" PRIu64 ") ", node->depth);
		if (file)
			fputs(text, file);
	}
	return width;
}
