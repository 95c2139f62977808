/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "check/made_code.h"

#include "base/growing.h"
#include "kernel/live_symbols.h"

enum { MADE_SIZE = 4096 }; /* bytes of a trampoline, at most */

static enum kioku_status note_made(void *user, const struct live_symbol *symbol)
{
	struct made_code *made = user;

	if (!GROW(made->beginnings, made->count, made->capacity))
		return KIOKU_ERROR_NO_MEMORY;
	made->beginnings[made->count++] = symbol->address;
	return KIOKU_OK;
}

enum kioku_status made_code_has(struct made_code *made, struct kioku_kernel *kernel,
				uint64_t address, bool *out)
{
	if (!made->is_known)
		TRY(live_symbols_each_made(kernel, note_made, made));
	made->is_known = true;
	*out = false;
	for (size_t i = 0; i < made->count && !*out; i++)
		*out = address - made->beginnings[i] < MADE_SIZE;
	return KIOKU_OK;
}

void made_code_release(struct made_code *made)
{
	free(made->beginnings);
	*made = (struct made_code){ 0 };
}
