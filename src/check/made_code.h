/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Code that the kernel made itself while it ran: for ftrace, kprobes and BPF. */
#ifndef CHECK_MADE_CODE_H
#define CHECK_MADE_CODE_H

#include "check/handler.h"

struct made_code { /* all zero: it was not looked for */
	uint64_t *beginnings;
	size_t count, capacity;
	bool is_known;
	bool is_damaged; /* some may be missing */
};

/* Looks for it, unless that was done. Errors: NO_MEMORY. */
enum kioku_status made_code_find(struct made_code *made, struct kioku_kernel *kernel);

/* Whether an address is in such code; it is looked for when it is first asked for. Errors: NO_MEMORY. */
enum kioku_status made_code_has(struct made_code *made, struct kioku_kernel *kernel,
				uint64_t address, bool *out);
/* Whether any that was found begins in [first, end). */
bool made_code_begins_in(const struct made_code *made, uint64_t first, uint64_t end);

void made_code_release(struct made_code *made);

#endif
