/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <zlib.h>

#ifdef HAVE_SNAPPY
#include <snappy-c.h>
#endif
#ifdef HAVE_ZSTD
#include <zstd.h>
#endif

#include "capture/page_compressor.h"

/*
 * A page fits into the smallest window that inflate() takes from everybody; the small hash table is
 * cleared for each page.
 */
#define ZLIB_WINDOW_BITS  12
#define ZLIB_MEMORY_LEVEL 5

#define ZSTD_LEVEL        1

/* What snappy_compress() wants to have room for (snappy-c.h): 32 + size + size / 6. */
#define SNAPPY_ROOM (32 + CAPTURE_PAGE + CAPTURE_PAGE / 6)

struct page_compressor {
	enum page_codec codec;
	z_stream zlib;
#ifdef HAVE_ZSTD
	ZSTD_CCtx *zstd;
#endif
	char room[SNAPPY_ROOM];
};

bool page_codec_named(const char *name, enum page_codec *out)
{
	static const struct {
		const char *name;
		enum page_codec codec;
	} names[] = { { "zlib", PAGE_ZLIB },
		      { "zstd", PAGE_ZSTD },
		      { "snappy", PAGE_SNAPPY },
		      { "none", PAGE_STORED } };

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		if (strcmp(names[i].name, name) != 0)
			continue;
		*out = names[i].codec;
		return true;
	}
	return false;
}

static bool start(struct page_compressor *compressor)
{
	switch (compressor->codec) {
	case PAGE_ZLIB:
		return deflateInit2(&compressor->zlib, Z_BEST_SPEED, Z_DEFLATED, ZLIB_WINDOW_BITS,
				    ZLIB_MEMORY_LEVEL, Z_DEFAULT_STRATEGY) == Z_OK;
	case PAGE_ZSTD:
#ifdef HAVE_ZSTD
		compressor->zstd = ZSTD_createCCtx();
		return compressor->zstd;
#else
		return false;
#endif
	default: return true;
	}
}

struct page_compressor *page_compressor_open(enum page_codec codec)
{
	AUTO_PAGE_COMPRESSOR struct page_compressor *compressor = calloc(1, sizeof(*compressor));

	if (!compressor)
		return NULL;
	compressor->codec = codec;
	return start(compressor) ? TAKE(compressor) : NULL;
}

void page_compressor_close(struct page_compressor *compressor)
{
	if (!compressor)
		return;
	if (compressor->codec == PAGE_ZLIB)
		deflateEnd(&compressor->zlib);
#ifdef HAVE_ZSTD
	ZSTD_freeCCtx(compressor->zstd);
#endif
	free(compressor);
}

static size_t compress_zlib(struct page_compressor *compressor, const uint8_t *page, uint8_t *out)
{
	z_stream *zlib = &compressor->zlib;

	zlib->next_in = (uint8_t *)page; /* which zlib does not write to */
	zlib->avail_in = CAPTURE_PAGE;
	zlib->next_out = out;
	zlib->avail_out = CAPTURE_PAGE - 1;
	if (deflateReset(zlib) != Z_OK || deflate(zlib, Z_FINISH) != Z_STREAM_END)
		return 0;
	return CAPTURE_PAGE - 1 - zlib->avail_out;
}

static size_t compress_snappy(struct page_compressor *compressor, const uint8_t *page, uint8_t *out)
{
#ifdef HAVE_SNAPPY
	size_t size = sizeof(compressor->room);

	if (snappy_compress((const char *)page, CAPTURE_PAGE, compressor->room, &size) !=
		    SNAPPY_OK ||
	    size >= CAPTURE_PAGE)
		return 0;
	memcpy(out, compressor->room, size);
	return size;
#else
	return 0;
#endif
}

static size_t compress_zstd(struct page_compressor *compressor, const uint8_t *page, uint8_t *out)
{
#ifdef HAVE_ZSTD
	size_t size = ZSTD_compressCCtx(compressor->zstd, out, CAPTURE_PAGE - 1, page, CAPTURE_PAGE,
					ZSTD_LEVEL);

	return ZSTD_isError(size) ? 0 : size;
#else
	return 0;
#endif
}

size_t page_compress(struct page_compressor *compressor, const uint8_t *page, uint8_t *out)
{
	switch (compressor->codec) {
	case PAGE_ZLIB: return compress_zlib(compressor, page, out);
	case PAGE_SNAPPY: return compress_snappy(compressor, page, out);
	case PAGE_ZSTD: return compress_zstd(compressor, page, out);
	default: return 0;
	}
}
