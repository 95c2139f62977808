/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <limits.h>
#include <zlib.h>

#include "base/cleanup.h"
#include "base/unpack.h"
#ifdef HAVE_LZMA
#include <lzma.h>
#endif

#define GZIP_MAGIC "\x1f\x8b"
#define XZ_MAGIC \
	"\xfd"   \
	"7zXZ"
#define GZIP         16 /* added to the window bits, as zlib.h has it */
#define FIRST_SIZE   (1u << 20)
#define MEMORY_LIMIT (256u << 20) /* of a decoder; "xz -9" asks for 65 MiB */

/* What is unpacked, as it grows. */
struct output {
	uint8_t *data;
	size_t used, capacity, limit;
};

static bool grow(struct output *output, struct kioku_error *error)
{
	size_t capacity = output->capacity ? output->capacity * 2 : FIRST_SIZE;

	if (output->capacity == output->limit) {
		error_set(error, KIOKU_ERROR_LIMIT, "unpacked, it is larger than %zu bytes",
			  output->limit);
		return false;
	}
	capacity = capacity < output->limit ? capacity : output->limit;
	uint8_t *grown = realloc(output->data, capacity);
	if (!grown) {
		error_no_memory(error);
		return false;
	}
	output->data = grown;
	output->capacity = capacity;
	return true;
}

static void release(struct output *output)
{
	free(output->data);
}

static void end_inflate(z_stream *stream)
{
	inflateEnd(stream);
}

static enum kioku_status unpack_gzip(struct bytes packed, struct output *output,
				     struct kioku_error *error)
{
	CLEANUP(end_inflate)
	z_stream stream = { .next_in = (uint8_t *)packed.data }; /* which zlib does not write to */
	struct kioku_error problem = { 0 };
	int result = Z_OK;

	if (packed.size > UINT_MAX)
		return error_set(error, KIOKU_ERROR_LIMIT, "it is too large");
	stream.avail_in = (uInt)packed.size;
	if (inflateInit2(&stream, MAX_WBITS + GZIP) != Z_OK)
		return error_no_memory(error);
	while (result != Z_STREAM_END) {
		if (output->used == output->capacity && !grow(output, &problem))
			return error_set(error, problem.status, "%s", problem.message);
		size_t room = output->capacity - output->used;
		stream.next_out = output->data + output->used;
		stream.avail_out = room < UINT_MAX ? (uInt)room : UINT_MAX;
		uInt before = stream.avail_out;
		result = inflate(&stream, Z_NO_FLUSH);
		output->used += before - stream.avail_out;
		if (result != Z_OK && result != Z_STREAM_END)
			return error_set(error, KIOKU_ERROR_CORRUPT,
					 "what gzip packed is damaged, or cut off");
	}
	return KIOKU_OK;
}

#ifdef HAVE_LZMA
static void end_lzma(lzma_stream *stream)
{
	lzma_end(stream);
}
#endif

static enum kioku_status unpack_xz(struct bytes packed, struct output *output,
				   struct kioku_error *error)
{
#ifdef HAVE_LZMA
	CLEANUP(end_lzma) lzma_stream stream = LZMA_STREAM_INIT;
	struct kioku_error problem = { 0 };
	lzma_ret result = LZMA_OK;

	if (lzma_stream_decoder(&stream, MEMORY_LIMIT, LZMA_CONCATENATED) != LZMA_OK)
		return error_no_memory(error);
	stream.next_in = packed.data;
	stream.avail_in = packed.size;
	while (result != LZMA_STREAM_END) {
		if (output->used == output->capacity && !grow(output, &problem))
			return error_set(error, problem.status, "%s", problem.message);
		stream.next_out = output->data + output->used;
		stream.avail_out = output->capacity - output->used;
		result = lzma_code(&stream, LZMA_FINISH);
		output->used = output->capacity - stream.avail_out;
		if (result == LZMA_MEM_ERROR || result == LZMA_MEMLIMIT_ERROR)
			return error_no_memory(error);
		if (result != LZMA_OK && result != LZMA_STREAM_END)
			return error_set(error, KIOKU_ERROR_CORRUPT,
					 "what xz packed is damaged, or cut off");
	}
	return KIOKU_OK;
#else
	return error_set(error, KIOKU_ERROR_UNSUPPORTED,
			 "this build reads nothing that xz packed: it was made without liblzma");
#endif
}

enum packer unpack_packer(struct bytes packed)
{
	return bytes_match(packed, 0, GZIP_MAGIC) ? PACKER_GZIP
	       : bytes_match(packed, 0, XZ_MAGIC) ? PACKER_XZ
						  : PACKER_NONE;
}

enum kioku_status unpack(struct bytes packed, size_t limit, void **out, size_t *size,
			 struct kioku_error *error)
{
	CLEANUP(release) struct output output = { .limit = limit };

	switch (unpack_packer(packed)) {
	case PACKER_GZIP: TRY(unpack_gzip(packed, &output, error)); break;
	case PACKER_XZ: TRY(unpack_xz(packed, &output, error)); break;
	case PACKER_NONE:
		return error_set(error, KIOKU_ERROR_UNSUPPORTED,
				 "it is packed by neither gzip nor xz");
	}
	*out = TAKE(output.data);
	*size = output.used;
	return KIOKU_OK;
}

enum kioku_status unpack_exactly(struct bytes packed, size_t size, void **out)
{
	AUTO_FREE void *data = NULL;
	size_t got = 0;

	/* One byte more than there may be, so that the end is met. */
	enum kioku_status status = unpack(packed, size + 1, &data, &got, NULL);
	if (status == KIOKU_ERROR_LIMIT || (status == KIOKU_OK && got != size))
		return KIOKU_ERROR_CORRUPT;
	if (status == KIOKU_OK)
		*out = TAKE(data);
	return status;
}
