/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/process_text.h"

#include <stdlib.h>

#include "base/error.h"

/* MAX_ARG_STRINGS times a page would be 8 TiB; a kernel has a quarter of the stack's limit, 6 MiB at most. */
#define TEXT_LIMIT (8u << 20)

void process_text_release(struct process_text *text)
{
	free(text->data);
}

enum kioku_status process_text_read(struct kioku_address_space *space, uint64_t start, uint64_t end,
				    struct process_text *out)
{
	*out = (struct process_text){ 0 };
	if (start == end)
		return KIOKU_OK;
	if (start > end || end - start > TEXT_LIMIT)
		return KIOKU_ERROR_CORRUPT;
	AUTO_FREE char *data = malloc(end - start);
	if (!data)
		return KIOKU_ERROR_NO_MEMORY;
	TRY(kioku_address_space_read(space, start, data, end - start, NULL));
	out->size = end - start;
	out->data = TAKE(data);
	return KIOKU_OK;
}
