/* SPDX-License-Identifier: GPL-2.0-only */
/* What a stream collects before an output gets it. */
#ifndef KIOKU_BUFFER_H
#define KIOKU_BUFFER_H

#include <linux/types.h>

struct buffer {
	u8 *data; /* one compound page; NULL: none */
	/* One page less than data has: what goes over the end belongs to what follows. */
	size_t size;
};

/* 0 or -ENOMEM. */
int buffer_init(struct buffer *buffer);
void buffer_release(struct buffer *buffer);

/*
 * An output has what comes before at, and bytes behind that are kept: they are its beginning now.
 * An output may still refer to its pages, a socket until the other side has acknowledged them; then
 * these are left alone, and the buffer goes on in others. 0 or -ENOMEM.
 */
int buffer_restart(struct buffer *buffer, size_t at, size_t kept);

#endif
