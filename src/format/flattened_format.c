/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/error.h"
#include "format/flattened_format.h"

#define MAGIC        "makedumpfile\0\0\0"
#define TYPE         1u /* at 16, big-endian as the version at 24 */
#define VERSION      1u
#define RECORD_LIMIT (1u << 23) /* QEMU's have 16 KiB: 128 GiB of compressed pages */

bool flattened_is_magic(struct bytes file)
{
	return bytes_has(file, 0, 16) && memcmp(file.data, MAGIC, 16) == 0;
}

static const char *check_header(struct bytes file)
{
	if (!flattened_is_magic(file))
		return "it does not start as flattened files do";
	if (file.size < FLATTENED_HEADER_SIZE)
		return "its flattened header is cut short by the end of the file";
	if (load_be64(file.data + 16) != TYPE || load_be64(file.data + 24) != VERSION)
		return "its flattened header is of an unknown type or version";
	return NULL;
}

/* What came last was added last; the map keeps what was added first. */
static void reverse(struct range_map *map)
{
	for (size_t i = 0; i < map->count / 2; i++) {
		struct extent other = map->extents[i];
		map->extents[i] = map->extents[map->count - 1 - i];
		map->extents[map->count - 1 - i] = other;
	}
}

/* Adds the record at *offset, and moves on to the next; false at the end, or at a cut. */
static bool take_record(struct bytes file, uint64_t *offset, struct flattened *out,
			enum kioku_status *status, struct kioku_error *error)
{
	struct bytes head;

	if (!bytes_slice(file, *offset, FLATTENED_RECORD_SIZE, &head))
		return false;
	uint64_t start = load_be64(head.data), size = load_be64(head.data + 8);
	out->complete = start == FLATTENED_END && size == FLATTENED_END;
	if (out->complete)
		return false;
	/* Both are signed: off_t. */
	if (start > INT64_MAX || size > INT64_MAX) {
		*status = error_set(error, KIOKU_ERROR_CORRUPT,
				    "the record at file offset 0x%llx is damaged",
				    (unsigned long long)*offset);
		return false;
	}
	uint64_t data = *offset + FLATTENED_RECORD_SIZE, left = file.size - data;
	uint64_t present = size < left ? size : left;
	if (out->records.count == RECORD_LIMIT) {
		*status = error_set(error, KIOKU_ERROR_LIMIT,
				    "it has too many records; makedumpfile -R restores it");
		return false;
	}
	if (!range_map_add(&out->records, (struct extent){ start, present, data, 0 })) {
		*status = error_no_memory(error);
		return false;
	}
	out->size = start + size > out->size ? start + size : out->size;
	*offset = data + present;
	return true;
}

enum kioku_status flattened_decode(struct bytes file, struct flattened *out,
				   struct kioku_error *error)
{
	uint64_t offset = FLATTENED_HEADER_SIZE;
	enum kioku_status status = KIOKU_OK;

	*out = (struct flattened){ 0 };
	const char *problem = check_header(file);
	if (problem)
		return error_set(error, KIOKU_ERROR_CORRUPT, "%s", problem);
	while (take_record(file, &offset, out, &status, error))
		;
	TRY(status);
	reverse(&out->records);
	return range_map_normalise(&out->records) ? KIOKU_OK : error_no_memory(error);
}

void flattened_release(struct flattened *flattened)
{
	range_map_release(&flattened->records);
}

void flattened_header_encode(uint8_t out[FLATTENED_HEADER_SIZE])
{
	memset(out, 0, FLATTENED_HEADER_SIZE);
	memcpy(out, MAGIC, 16);
	store_be64(out + 16, TYPE);
	store_be64(out + 24, VERSION);
}

void flattened_record_encode(uint64_t offset, uint64_t size, uint8_t out[FLATTENED_RECORD_SIZE])
{
	store_be64(out, offset);
	store_be64(out + 8, size);
}
