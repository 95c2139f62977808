/* SPDX-License-Identifier: GPL-2.0-only */
/* The bytes of a dump on their way: digest, deflate, output. */
#ifndef KIOKU_STREAM_H
#define KIOKU_STREAM_H

#include <crypto/hash.h>
#include <linux/zlib.h>

#include "buffer.h"
#include "output.h"

struct stream {
	struct output *output;
	struct buffer buffer;
	size_t used;               /* of it */
	struct shash_desc *digest; /* NULL: none */
	z_stream deflate;
	struct buffer packed; /* that deflate fills; none: it is not compressed */
	u64 given;            /* bytes that output has taken */
};

/*
 * digest: of the crypto API, or NULL. 0 or a negative errno, and then it has said
 * why in the log; it must be released then, too.
 */
int stream_init(struct stream *stream, const char *digest, bool compress);
void stream_release(struct stream *stream);

/* Where the next bytes may be put, at least a page of them; stream_added() says how many were. */
void *stream_room(struct stream *stream);
int stream_added(struct stream *stream, size_t size);

int stream_zeros(struct stream *stream, u64 size);

/* No more will come. */
int stream_end(struct stream *stream);

/* After stream_end(): writes the digest's hex digits to a part of their own, if there is one. */
int stream_write_digest(struct stream *stream);

#endif
