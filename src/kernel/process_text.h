/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A piece of a process's memory as text: its arguments, its environment. */
#ifndef KERNEL_PROCESS_TEXT_H
#define KERNEL_PROCESS_TEXT_H

#include "address/address.h"

/* All zero is empty. */
struct process_text {
	char *data; /* size bytes, without a NUL of ours */
	size_t size;
};

void process_text_release(struct process_text *text);
#define AUTO_PROCESS_TEXT CLEANUP(process_text_release)

/*
 * Reads [start, end). To be released if it is OK. Errors: CORRUPT (it ends before it starts, or is longer than a
 * kernel lets it be), NO_MEMORY, and those of reading.
 */
enum kioku_status process_text_read(struct kioku_address_space *space, uint64_t start, uint64_t end,
				    struct process_text *out);

#endif
