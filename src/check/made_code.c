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

enum kioku_status made_code_find(struct made_code *made, struct kioku_kernel *kernel)
{
	struct gap_listener listener;

	if (made->is_known)
		return KIOKU_OK;
	gap_listener_begin(&listener, &kernel->diagnostics);
	enum kioku_status status = live_symbols_each_made(kernel, note_made, made);
	gap_listener_end(&listener, &kernel->diagnostics);
	made->is_known = true;
	made->is_damaged = listener.has_gap;
	return status;
}

bool made_code_begins_in(const struct made_code *made, uint64_t first, uint64_t end)
{
	for (size_t i = 0; i < made->count; i++)
		if (made->beginnings[i] >= first && made->beginnings[i] < end)
			return true;
	return false;
}

enum kioku_status made_code_has(struct made_code *made, struct kioku_kernel *kernel,
				uint64_t address, bool *out)
{
	TRY(made_code_find(made, kernel));
	*out = made_code_begins_in(made, address - (MADE_SIZE - 1), address + 1);
	return KIOKU_OK;
}

void made_code_release(struct made_code *made)
{
	free(made->beginnings);
	*made = (struct made_code){ 0 };
}
