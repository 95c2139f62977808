/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A stretch of the target's memory that is brought in as it is looked at, so that searching a
 * region costs the pages that were looked at and not the region. data points at all size bytes from
 * the start, but a byte means something only after window_need() has said yes for it.
 */
#ifndef BASE_WINDOW_H
#define BASE_WINDOW_H

#include "base/bytes.h"

struct window {
	const uint8_t *data;
	uint64_t size;
	uint64_t virtual_start; /* the kernel's address of data[0]; 0 if it is not known */
	bool (*fetch)(struct window *window, uint64_t offset, uint64_t size);
};

/* Makes [offset, offset + size) valid; false if it lies outside or is not in the image. */
static inline bool window_need(struct window *window, uint64_t offset, uint64_t size)
{
	if (offset > window->size || size > window->size - offset)
		return false;
	return size == 0 || !window->fetch || window->fetch(window, offset, size);
}

/* The valid bytes [offset, offset + size), or false. */
static inline bool window_bytes(struct window *window, uint64_t offset, uint64_t size,
				struct bytes *out)
{
	if (!window_need(window, offset, size))
		return false;
	*out = (struct bytes){ window->data + offset, (size_t)size };
	return true;
}

#endif
