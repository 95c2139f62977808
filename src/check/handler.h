/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whose a function is that the kernel calls through a pointer, and what a check says about it. */
#ifndef CHECK_HANDLER_H
#define CHECK_HANDLER_H

#include "check/check.h"

#define HANDLER_TEXT (CODE_TEXT + 128)

enum handler_owner {
	HANDLER_OF_NOBODY, /* it is in no code that the kernel knows of */
	HANDLER_OF_KERNEL,
	HANDLER_OF_MODULE,         /* of the kernel's own tree */
	HANDLER_OF_FOREIGN_MODULE, /* of another: TAINT_OOT_MODULE */
};

struct handler {
	enum handler_owner owner;
	bool is_doubtful;        /* of nobody, but not all modules are known */
	char text[HANDLER_TEXT]; /* its function and module, or what is known instead */
};

void handler_find(const struct check_run *run, uint64_t address, struct handler *out);

/* Whether there can be code at an address: the page tables say so. */
bool handler_is_executable(const struct check_run *run, uint64_t address);

/* Makes no more than a note of what rests on a handler that is doubtful. */
void handler_doubt(const struct handler *handler, struct check_result *result);

/*
 * Reports a handler of nobody as a finding, that of a foreign module as a note, others not at all. result has
 * the rest of what is to be said. Errors: receive's.
 */
enum kioku_status handler_report(struct check_run *run, const struct handler *handler,
				 const struct check_result *result);

#endif
