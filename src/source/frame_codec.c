/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <limits.h>
#include <zlib.h>

#ifdef HAVE_LZ4
#include <lz4frame.h>
#endif
#ifdef HAVE_SNAPPY
#include <snappy-c.h>
#endif
#ifdef HAVE_ZSTD
#include <zstd.h>
#include <zstd_errors.h>
#endif

#include "base/cleanup.h"
#include "format/avml_format.h"
#include "source/frame_codec.h"

#ifdef HAVE_ZSTD
static enum frame_result unpack_zstd(struct bytes packed, uint8_t *out, size_t capacity,
				     struct frame_sizes *sizes)
{
	size_t size = ZSTD_findFrameCompressedSize(packed.data, packed.size);
	if (ZSTD_isError(size))
		return FRAME_DAMAGED;
	size_t got = ZSTD_decompress(out, capacity, packed.data, size);
	if (ZSTD_isError(got))
		return ZSTD_getErrorCode(got) == ZSTD_error_dstSize_tooSmall ? FRAME_TOO_LARGE
									     : FRAME_DAMAGED;
	*sizes = (struct frame_sizes){ size, got };
	return FRAME_UNPACKED;
}
#else
#define unpack_zstd NULL
#endif

#ifdef HAVE_LZ4
static void release_lz4(LZ4F_dctx **context)
{
	LZ4F_freeDecompressionContext(*context);
}

static enum frame_result unpack_lz4(struct bytes packed, uint8_t *out, size_t capacity,
				    struct frame_sizes *sizes)
{
	CLEANUP(release_lz4) LZ4F_dctx *context = NULL;
	size_t used = 0, filled = 0, left;

	if (LZ4F_isError(LZ4F_createDecompressionContext(&context, LZ4F_VERSION)))
		return FRAME_DAMAGED;
	do {
		size_t in = packed.size - used, room = capacity - filled;
		left = LZ4F_decompress(context, out + filled, &room, packed.data + used, &in, NULL);
		if (LZ4F_isError(left))
			return FRAME_DAMAGED;
		if (left > 0 && in == 0 && room == 0)
			return filled == capacity ? FRAME_TOO_LARGE : FRAME_DAMAGED;
		used += in;
		filled += room;
	} while (left > 0);
	*sizes = (struct frame_sizes){ used, filled };
	return FRAME_UNPACKED;
}
#else
#define unpack_lz4 NULL
#endif

static enum frame_result unpack_gzip(struct bytes packed, uint8_t *out, size_t capacity,
				     struct frame_sizes *sizes)
{
	z_stream stream = { .next_in = (Bytef *)packed.data,
			    .avail_in = packed.size < UINT_MAX ? (uInt)packed.size : UINT_MAX,
			    .next_out = out,
			    .avail_out = (uInt)capacity };

	if (inflateInit2(&stream, 16 + MAX_WBITS) != Z_OK) /* 16: gzip and nothing else */
		return FRAME_DAMAGED;
	int status = inflate(&stream, Z_FINISH);
	*sizes = (struct frame_sizes){ stream.total_in, stream.total_out };
	inflateEnd(&stream);
	if (status == Z_STREAM_END)
		return FRAME_UNPACKED;
	return stream.avail_out == 0 && status == Z_BUF_ERROR ? FRAME_TOO_LARGE : FRAME_DAMAGED;
}

#ifdef HAVE_SNAPPY
/* One chunk: a frame as avml_source.c makes it. */
static enum frame_result unpack_snappy(struct bytes packed, uint8_t *out, size_t capacity,
				       struct frame_sizes *sizes)
{
	struct snappy_chunk chunk;
	struct bytes payload;
	size_t got = capacity;

	if (snappy_chunk_decode(packed, &chunk) || chunk.kind == SNAPPY_SKIPPED ||
	    !bytes_slice(packed, SNAPPY_CHUNK_HEAD_SIZE, chunk.size, &payload))
		return FRAME_DAMAGED;
	if (chunk.kind == SNAPPY_STORED) {
		if (payload.size > capacity)
			return FRAME_TOO_LARGE;
		got = payload.size;
		memcpy(out, payload.data, got);
	} else if (snappy_uncompress((const char *)payload.data, payload.size, (char *)out, &got) !=
		   SNAPPY_OK) {
		return FRAME_DAMAGED;
	}
	*sizes = (struct frame_sizes){ SNAPPY_CHUNK_HEAD_SIZE + payload.size, got };
	return snappy_checksum(out, got) == chunk.checksum ? FRAME_UNPACKED : FRAME_DAMAGED;
}
#else
#define unpack_snappy NULL
#endif

static const struct {
	const char *name;
	enum frame_result (*unpack)(struct bytes packed, uint8_t *out, size_t capacity,
				    struct frame_sizes *sizes); /* NULL: not in this build */
} codecs[] = {
	[FRAME_ZSTD] = { "zstd", unpack_zstd },
	[FRAME_LZ4] = { "lz4", unpack_lz4 },
	[FRAME_GZIP] = { "gzip", unpack_gzip },
	[FRAME_SNAPPY] = { "snappy", unpack_snappy },
};

const char *frame_codec_name(enum frame_codec codec)
{
	return codecs[codec].name;
}

bool frame_codec_is_here(enum frame_codec codec)
{
	return codecs[codec].unpack;
}

enum frame_result frame_unpack(enum frame_codec codec, struct bytes packed, uint8_t *out,
			       size_t capacity, struct frame_sizes *sizes)
{
	return codecs[codec].unpack(packed, out, capacity, sizes);
}
