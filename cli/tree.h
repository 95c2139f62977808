/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The lines of a tree whose nodes come depth first, drawn in front of each node. */
#ifndef CLI_TREE_H
#define CLI_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct tree_node {
	uint64_t depth;
	uint64_t
		later; /* bit d: past this node, another one at depth d belongs to the same parent */
};

/* Fills in later for nodes[0..count) whose depth is known; nodes are stride bytes apart. */
void tree_connect(struct tree_node *nodes, size_t count, size_t stride);

/* Writes the lines and returns the columns they take; with file NULL it only counts. */
unsigned tree_draw(FILE *file, const struct tree_node *node, bool ascii);

#endif
