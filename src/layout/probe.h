/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is compiled in place of a kernel: its headers, and those of its sources that keep structures to themselves. All
 * headers are one unit, each source is one. A unit that cannot be compiled is halved until what cannot is known.
 */
#ifndef LAYOUT_PROBE_H
#define LAYOUT_PROBE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "kconfig/config_text.h"

#define PROBE_UNIT_LIMIT 256

enum probe_state { PROBE_WAITS, PROBE_DONE, PROBE_FAILED, PROBE_SAID };

/* Files of the tree, from first on; of those that are there. */
struct probe_unit {
	size_t first, count;
	bool is_source;
	enum probe_state state;
};

struct probe {
	const char *source, *folder; /* the tree, and where units are; absolute, borrowed */
	struct probe_unit units[PROBE_UNIT_LIMIT];
	size_t count;
};

/* config: what the tree is compiled with, sorted; not needed afterwards. */
void probe_begin(struct probe *probe, const char *source, const char *folder,
		 const struct config_text *config);

/*
 * Writes the units that wait, and the Kbuild file that says how they are compiled. False: none waits.
 * Errors: OS.
 */
enum kioku_status probe_write(const struct probe *probe, bool *any, struct kioku_error *error);

/* The name of a unit's object, "kioku_3.o". */
#define PROBE_NAME_SIZE 32
void probe_object(size_t unit, char out[PROBE_NAME_SIZE]);

/* After they were compiled: which ones are done, and what becomes of the others. */
void probe_look(struct probe *probe);

/* What a failed unit should have been made of: the path of one file, in the tree. */
const char *probe_file(const struct probe_unit *unit);

#endif
