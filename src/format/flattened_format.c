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

enum kioku_status flattened_check_header(struct bytes head, uint64_t file_size,
					 struct kioku_error *error)
{
	const char *problem = NULL;

	if (!flattened_is_magic(head))
		problem = "it does not start as flattened files do";
	else if (head.size < 32 || file_size < FLATTENED_HEADER_SIZE)
		problem = "its flattened header is cut short by the end of the file";
	else if (load_be64(head.data + 16) != TYPE || load_be64(head.data + 24) != VERSION)
		problem = "its flattened header is of an unknown type or version";
	return problem ? error_set(error, KIOKU_ERROR_CORRUPT, "%s", problem) : KIOKU_OK;
}

enum kioku_status flattened_take_record(struct flattened *out,
					const uint8_t raw[FLATTENED_RECORD_SIZE],
					uint64_t file_size, uint64_t *offset,
					struct kioku_error *error)
{
	uint64_t start = load_be64(raw), size = load_be64(raw + 8);

	out->complete = start == FLATTENED_END && size == FLATTENED_END;
	if (out->complete)
		return KIOKU_OK;
	/* Both are signed: off_t. */
	if (start > INT64_MAX || size > INT64_MAX)
		return error_set(error, KIOKU_ERROR_CORRUPT,
				 "the record at file offset 0x%llx is damaged",
				 (unsigned long long)*offset);
	uint64_t data = *offset + FLATTENED_RECORD_SIZE, left = file_size - data;
	uint64_t present = size < left ? size : left;
	if (out->records.count == RECORD_LIMIT)
		return error_set(error, KIOKU_ERROR_LIMIT,
				 "it has too many records; makedumpfile -R restores it");
	if (!range_map_add(&out->records, (struct extent){ start, present, data, 0 }))
		return error_no_memory(error);
	out->size = start + size > out->size ? start + size : out->size;
	*offset = data + present;
	return KIOKU_OK;
}

/* What came last was added last; the map keeps what was added first. */
enum kioku_status flattened_finish(struct flattened *out, struct kioku_error *error)
{
	struct range_map *map = &out->records;

	for (size_t i = 0; i < map->count / 2; i++) {
		struct extent other = map->extents[i];
		map->extents[i] = map->extents[map->count - 1 - i];
		map->extents[map->count - 1 - i] = other;
	}
	return range_map_normalise(map) ? KIOKU_OK : error_no_memory(error);
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
