// SPDX-License-Identifier: GPL-2.0-only
#include <linux/err.h>
#include <linux/kernel.h>
#include <linux/printk.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/vmalloc.h>

#include "stream.h"

/* LiME's window, by which readers know its compressed dumps (RFC 1950: the first byte is 0x38). */
#define WINDOW_BITS  11
#define MEMORY_LEVEL 5

static int init_digest(struct stream *stream, const char *name)
{
	struct crypto_shash *hash = crypto_alloc_shash(name, 0, 0);

	if (IS_ERR(hash)) {
		pr_err("digest=%s: this kernel does not have it (is its module loaded?): %pe\n",
		       name, hash);
		/* insmod takes ENOENT for a missing symbol. */
		return PTR_ERR(hash) == -ENOENT ? -EOPNOTSUPP : PTR_ERR(hash);
	}
	stream->digest = kzalloc(sizeof(*stream->digest) + crypto_shash_descsize(hash), GFP_KERNEL);
	if (!stream->digest) {
		crypto_free_shash(hash);
		return -ENOMEM;
	}
	stream->digest->tfm = hash;
	return crypto_shash_init(stream->digest);
}

#if IS_ENABLED(CONFIG_ZLIB_DEFLATE)
static void refill(struct stream *stream)
{
	stream->deflate.next_out = stream->packed.data;
	stream->deflate.avail_out = stream->packed.size;
}

static int init_deflate(struct stream *stream)
{
	z_stream *deflate = &stream->deflate;

	deflate->workspace = vzalloc(zlib_deflate_workspacesize(WINDOW_BITS, MEMORY_LEVEL));
	if (!deflate->workspace || buffer_init(&stream->packed))
		return -ENOMEM;
	if (zlib_deflateInit2(deflate, Z_BEST_SPEED, Z_DEFLATED, WINDOW_BITS, MEMORY_LEVEL,
			      Z_DEFAULT_STRATEGY) != Z_OK)
		return -EINVAL;
	refill(stream);
	return 0;
}
#else
static int init_deflate(struct stream *stream)
{
	pr_err("compress=1: this kernel has no deflate\n");
	return -EOPNOTSUPP;
}
#endif

int stream_init(struct stream *stream, const char *digest, bool compress)
{
	int status = buffer_init(&stream->buffer);

	if (status == 0 && digest)
		status = init_digest(stream, digest);
	if (status == 0 && compress)
		status = init_deflate(stream);
	if (status == -ENOMEM)
		pr_err("there is no memory for a dump's buffers\n");
	return status;
}

void stream_release(struct stream *stream)
{
	if (stream->digest) {
		crypto_free_shash(stream->digest->tfm);
		kfree_sensitive(stream->digest);
	}
	vfree(stream->deflate.workspace);
	buffer_release(&stream->packed);
	buffer_release(&stream->buffer);
}

static int give(struct stream *stream, const void *data, size_t size)
{
	int status = stream->output->driver->write(stream->output, data, size);

	if (status == 0)
		stream->given += size;
	return status;
}

#if IS_ENABLED(CONFIG_ZLIB_DEFLATE)
static int pack(struct stream *stream, size_t size, int flush)
{
	z_stream *deflate = &stream->deflate;
	int result, status;

	deflate->next_in = stream->buffer.data;
	deflate->avail_in = size;
	for (;;) {
		result = zlib_deflate(deflate, flush);
		if (result == Z_STREAM_END)
			return give(stream, stream->packed.data,
				    stream->packed.size - deflate->avail_out);
		if (result != Z_OK && result != Z_BUF_ERROR)
			return -EIO;
		if (deflate->avail_out > 0)
			return 0;
		status = give(stream, stream->packed.data, stream->packed.size);
		if (status == 0)
			status = buffer_restart(&stream->packed, 0, 0);
		if (status)
			return status;
		refill(stream);
	}
}
#else
#define Z_NO_FLUSH 0
#define Z_FINISH   0

static int pack(struct stream *stream, size_t size, int flush)
{
	return -EOPNOTSUPP;
}
#endif

/* Lets the first bytes of the buffer go. */
static int drain(struct stream *stream, size_t size, bool is_last)
{
	int status = 0;

	if (signal_pending(current))
		return -EINTR;
	if (stream->digest)
		status = crypto_shash_update(stream->digest, stream->buffer.data, size);
	if (status)
		return status;
	if (stream->packed.data)
		status = pack(stream, size, is_last ? Z_FINISH : Z_NO_FLUSH);
	else if (size > 0)
		status = give(stream, stream->buffer.data, size);
	stream->used -= size;
	cond_resched();
	return status ? status : buffer_restart(&stream->buffer, size, stream->used);
}

void *stream_room(struct stream *stream)
{
	return stream->buffer.data + stream->used;
}

int stream_added(struct stream *stream, size_t size)
{
	stream->used += size;
	return stream->used < stream->buffer.size ? 0 : drain(stream, stream->buffer.size, false);
}

int stream_zeros(struct stream *stream, u64 size)
{
	size_t part;
	int status;

	for (; size > 0; size -= part) {
		part = min_t(u64, size, PAGE_SIZE);
		memset(stream_room(stream), 0, part);
		status = stream_added(stream, part);
		if (status)
			return status;
	}
	return 0;
}

int stream_end(struct stream *stream)
{
	return drain(stream, stream->used, true);
}

int stream_write_digest(struct stream *stream)
{
	const struct output_driver *driver = stream->output->driver;
	u8 digest[HASH_MAX_DIGESTSIZE];
	size_t size;
	int status;

	if (!stream->digest)
		return 0;
	size = crypto_shash_digestsize(stream->digest->tfm);
	status = crypto_shash_final(stream->digest, digest);
	if (status)
		return status;
	scnprintf((char *)stream->buffer.data, PAGE_SIZE, "%*phN", (int)size, digest);
	return driver->write(stream->output, stream->buffer.data, 2 * size);
}
