/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "snapshot/pagemap_entry.h"

#include <errno.h>
#include <unistd.h>

enum kioku_status pagemap_read(int pagemap, uint64_t start, uint64_t end, uint64_t *entries,
			       struct kioku_error *error)
{
	uint64_t offset = start / ENTRY_PAGE * sizeof(*entries);
	size_t size = (size_t)(end - start) / ENTRY_PAGE * sizeof(*entries);

	for (size_t done = 0; done < size;) {
		ssize_t got = pread(pagemap, (uint8_t *)entries + done, size - done,
				    (off_t)(offset + done));
		if (got == 0)
			return error_set(error, KIOKU_ERROR_NOT_FOUND,
					 "the process's memory is gone");
		if (got < 0 && errno != EINTR)
			return error_os(error, "cannot read which pages are there");
		done += got > 0 ? (size_t)got : 0;
	}
	return KIOKU_OK;
}

bool pagemap_read_one(int pagemap, uint64_t page, uint64_t *entry)
{
	return pagemap_read(pagemap, page, page + ENTRY_PAGE, entry, NULL) == KIOKU_OK;
}
