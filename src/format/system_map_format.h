/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The text forms of a kernel's symbols: System.map (nm(1), sorted) and /proc/kallsyms (kernel/kallsyms.c, s_show()):
 * a line each, "ADDRESS TYPE NAME", in the latter with "\t[MODULE]" after symbols of modules.
 */
#ifndef FORMAT_SYSTEM_MAP_FORMAT_H
#define FORMAT_SYSTEM_MAP_FORMAT_H

#include "base/bytes.h"

struct system_map_line {
	uint64_t address;
	char type;
	struct bytes name; /* in the text */
	bool is_of_module;
};

/* The line at *at, which moves behind it. False at the end, and then *at is text.size, or at what is no such line. */
bool system_map_next(struct bytes text, size_t *at, struct system_map_line *out);

#endif
