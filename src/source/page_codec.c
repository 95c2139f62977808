/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <zlib.h>

#ifdef HAVE_LZ4
#include <lz4.h>
#endif
#ifdef HAVE_SNAPPY
#include <snappy-c.h>
#endif
#ifdef HAVE_ZSTD
#include <zstd.h>
#endif

#include "format/lzo_format.h"
#include "source/page_codec.h"

const char *page_codec_missing(enum page_codec codec)
{
#ifndef HAVE_SNAPPY
	if (codec == PAGE_SNAPPY)
		return "this build cannot read snappy pages";
#endif
#ifndef HAVE_ZSTD
	if (codec == PAGE_ZSTD)
		return "this build cannot read zstd pages";
#endif
#ifndef HAVE_LZ4
	if (codec == PAGE_LZ4)
		return "this build cannot read lz4 pages";
#endif
	return NULL;
}

static bool decompress_zlib(struct bytes compressed, uint8_t *out, size_t size)
{
	uLongf got = size;
	uLong used = compressed.size;

	return uncompress2(out, &got, compressed.data, &used) == Z_OK && got == size;
}

static bool decompress_snappy(struct bytes compressed, uint8_t *out, size_t size)
{
#ifdef HAVE_SNAPPY
	const char *data = (const char *)compressed.data;
	size_t got;

	return snappy_uncompressed_length(data, compressed.size, &got) == SNAPPY_OK &&
	       got == size &&
	       snappy_uncompress(data, compressed.size, (char *)out, &got) == SNAPPY_OK;
#else
	return false;
#endif
}

static bool decompress_zstd(struct bytes compressed, uint8_t *out, size_t size)
{
#ifdef HAVE_ZSTD
	return ZSTD_decompress(out, size, compressed.data, compressed.size) == size;
#else
	return false;
#endif
}

static bool decompress_deflate(struct bytes compressed, uint8_t *out, size_t size)
{
	z_stream stream = { .next_in = (Bytef *)compressed.data,
			    .avail_in = (uInt)compressed.size,
			    .next_out = out,
			    .avail_out = (uInt)size };

	if (compressed.size > UINT32_MAX || size > UINT32_MAX ||
	    inflateInit2(&stream, -MAX_WBITS) != Z_OK)
		return false;
	int status = inflate(&stream, Z_FINISH);
	inflateEnd(&stream);
	return status == Z_STREAM_END && stream.avail_out == 0;
}

static bool decompress_lz4(struct bytes compressed, uint8_t *out, size_t size)
{
#ifdef HAVE_LZ4
	return compressed.size <= INT32_MAX && size <= INT32_MAX &&
	       LZ4_decompress_safe((const char *)compressed.data, (char *)out, (int)compressed.size,
				   (int)size) == (int)size;
#else
	return false;
#endif
}

static bool decompress(enum page_codec codec, struct bytes compressed, uint8_t *out, size_t size)
{
	size_t got;

	switch (codec) {
	case PAGE_STORED:
		if (compressed.size == size)
			memcpy(out, compressed.data, size);
		return compressed.size == size;
	case PAGE_ZLIB: return decompress_zlib(compressed, out, size);
	case PAGE_LZO: return lzo_decode(compressed, out, size, &got) && got == size;
	case PAGE_SNAPPY: return decompress_snappy(compressed, out, size);
	case PAGE_ZSTD: return decompress_zstd(compressed, out, size);
	case PAGE_DEFLATE: return decompress_deflate(compressed, out, size);
	case PAGE_LZ4: return decompress_lz4(compressed, out, size);
	}
	return false;
}

const char *page_decompress(enum page_codec codec, struct bytes compressed, uint8_t *out,
			    size_t size)
{
	const char *missing = page_codec_missing(codec);

	if (missing)
		return missing;
	return decompress(codec, compressed, out, size) ? NULL : "its compressed bytes are damaged";
}
