/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The running kernel's configuration, from whatever memory has of it. */
#ifndef KCONFIG_KCONFIG_H
#define KCONFIG_KCONFIG_H

#include "kconfig/config_choice.h"
#include "kconfig/config_scan.h"

enum config_certainty {
	CONFIG_POSSIBLE, /* nothing says that it is this kernel's, or the line was put together */
	CONFIG_LIKELY,   /* of a configuration that says to be of this kernel */
	CONFIG_CERTAIN,  /* the kernel has it in itself, or shows it */
};

struct config_row {
	const struct config_text *text; /* NULL: a fact alone */
	size_t number; /* of the text, from 1 on, the best first; 0: a fact alone */
	struct config_line line;
	enum config_certainty certainty;
	const char *confirmed_by; /* NULL: nothing does */
};

/* Not OK: it ends with this status. */
typedef enum kioku_status config_row_fn(void *user, const struct config_row *row);

struct config_request {
	bool all; /* of every configuration, and not of the running kernel's alone */
	struct config_progress progress;
	config_row_fn *row;
	void *user;
};

/*
 * Gives the options of the running kernel in the order of their source, then those that only facts show. What is
 * missing is a GAP, what is contradicted a WARNING. A kernel that was not found is looked for by pages alone.
 * Errors: NOT_FOUND (memory has nothing of a configuration), NO_MEMORY, or row's.
 */
enum kioku_status kconfig_find(struct kioku_kernel *kernel, const struct config_request *request,
			       struct kioku_error *error);

#endif
