/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Types out of DWARF (versions 2 to 5; type units, and what dwz shares, too). A program's debug information says
 * the same of a struct in each of its thousands of units. Definitions count as the same if kind, name, size,
 * line and first member are; of several of one name all are kept, and the one that most units have comes first.
 */
#ifndef TYPE_DWARF_TYPES_H
#define TYPE_DWARF_TYPES_H

#include "type/types.h"

struct dwarf_summary {
	uint32_t units;
	/* Something in it was not understood, and what depends on it is void or missing: what; "" if all was. */
	char flaw[96];
};

/* Whether this build can read DWARF at all. */
bool dwarf_is_readable(void);

/*
 * Reads the types of an ELF file. The descriptor stays the caller's. Errors: UNSUPPORTED (built without libdw),
 * NOT_FOUND (no DWARF in it), CORRUPT, LIMIT (more of it than any kernel has), NO_MEMORY.
 */
enum kioku_status types_from_dwarf(int descriptor, struct kioku_types **out,
				   struct dwarf_summary *summary, struct kioku_error *error);

#endif
