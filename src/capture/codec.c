/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "capture/codec.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#ifdef HAVE_LZ4
#include <lz4frame.h>
#include <lz4hc.h>
#endif
#ifdef HAVE_ZSTD
#include <zstd.h>
#endif

#ifdef HAVE_ZSTD
static size_t zstd_bound(void)
{
	return ZSTD_compressBound(FRAME_WRITE_SIZE);
}

static void zstd_close(void *context)
{
	ZSTD_freeCCtx(context);
}

static void *zstd_open(int level)
{
	ZSTD_CCtx *context = ZSTD_createCCtx();

	if (context &&
	    (ZSTD_isError(ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, level)) ||
	     ZSTD_isError(ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1)))) {
		ZSTD_freeCCtx(context);
		return NULL;
	}
	return context;
}

static size_t zstd_pack(void *context, const uint8_t *data, size_t size, uint8_t *out,
			size_t capacity)
{
	size_t packed = ZSTD_compress2(context, out, capacity, data, size);

	return ZSTD_isError(packed) ? 0 : packed;
}
#endif

#ifdef HAVE_LZ4
static LZ4F_preferences_t lz4_preferences(int level, size_t size)
{
	LZ4F_preferences_t preferences = LZ4F_INIT_PREFERENCES;

	preferences.frameInfo.blockSizeID = LZ4F_max256KB;
	preferences.frameInfo.contentChecksumFlag = LZ4F_contentChecksumEnabled;
	preferences.frameInfo.contentSize = size;
	preferences.compressionLevel = level;
	return preferences;
}

static size_t lz4_bound(void)
{
	LZ4F_preferences_t preferences = lz4_preferences(1, FRAME_WRITE_SIZE);

	return LZ4F_compressFrameBound(FRAME_WRITE_SIZE, &preferences);
}

static void *lz4_open(int level)
{
	int *context = malloc(sizeof(*context));

	if (context)
		*context = level;
	return context;
}

static size_t lz4_pack(void *context, const uint8_t *data, size_t size, uint8_t *out,
		       size_t capacity)
{
	const int *level = context;
	LZ4F_preferences_t preferences = lz4_preferences(*level, size);
	size_t packed = LZ4F_compressFrame(out, capacity, data, size, &preferences);

	return LZ4F_isError(packed) ? 0 : packed;
}
#endif

#define RAW_DEFLATE (-15)

static size_t gzip_bound(void)
{
	/* zlib.h, deflateBound() without a stream: what any setting may need, and a little more. */
	return compressBound(FRAME_WRITE_SIZE) + GZIP_HEAD_SIZE + GZIP_TAIL_SIZE;
}

static void gzip_close(void *context)
{
	if (context)
		deflateEnd(context);
	free(context);
}

static void *gzip_open(int level)
{
	z_stream *stream = calloc(1, sizeof(*stream));

	if (stream &&
	    deflateInit2(stream, level, Z_DEFLATED, RAW_DEFLATE, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
		free(stream);
		return NULL;
	}
	return stream;
}

static size_t gzip_pack(void *context, const uint8_t *data, size_t size, uint8_t *out,
			size_t capacity)
{
	z_stream *stream = context;

	if (deflateReset(stream) != Z_OK)
		return 0;
	stream->next_in = (Bytef *)data;
	stream->avail_in = (uInt)size;
	stream->next_out = out + GZIP_HEAD_SIZE;
	stream->avail_out = (uInt)(capacity - GZIP_HEAD_SIZE - GZIP_TAIL_SIZE);
	if (deflate(stream, Z_FINISH) != Z_STREAM_END)
		return 0;
	size_t packed = GZIP_HEAD_SIZE + stream->total_out + GZIP_TAIL_SIZE;
	gzip_encode_head((uint32_t)packed, (uint32_t)size, out);
	gzip_encode_tail((uint32_t)crc32(crc32(0, NULL, 0), data, (uInt)size), (uint32_t)size,
			 out + packed - GZIP_TAIL_SIZE);
	return packed;
}

static const struct codec codecs[] = {
#ifdef HAVE_ZSTD
	{ "zstd", "zst", FRAME_ZSTD, 1, 19, 1, zstd_bound, zstd_open, zstd_close, zstd_pack },
#endif
#ifdef HAVE_LZ4
	{ "lz4", "lz4", FRAME_LZ4, 1, LZ4HC_CLEVEL_MAX, 1, lz4_bound, lz4_open, free, lz4_pack },
#endif
	{ "gzip", "gz", FRAME_GZIP, 1, 9, 1, gzip_bound, gzip_open, gzip_close, gzip_pack },
};

#define CODEC_COUNT (sizeof(codecs) / sizeof(*codecs))

const struct codec *codec_named(const char *name)
{
	for (size_t i = 0; i < CODEC_COUNT; i++)
		if (strcmp(codecs[i].name, name) == 0)
			return &codecs[i];
	return NULL;
}

const struct codec *codec_of_extension(const char *extension)
{
	for (size_t i = 0; i < CODEC_COUNT; i++)
		if (strcmp(codecs[i].extension, extension) == 0)
			return &codecs[i];
	return NULL;
}

const char *const *codec_names(void)
{
	static const char *const names[] = {
#ifdef HAVE_ZSTD
		"zstd",
#endif
#ifdef HAVE_LZ4
		"lz4",
#endif
		"gzip", NULL
	};
	return names;
}
