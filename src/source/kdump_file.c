/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>

#include "base/error.h"
#include "source/kdump_file.h"

enum kioku_status kdump_file_open(struct kioku_source *source, struct kdump_file *out,
				  struct kioku_error *error)
{
	*out = (struct kdump_file){ .source = source, .size = source->file.size };
	out->is_flattened = flattened_is_magic(source->file);
	if (!out->is_flattened)
		return KIOKU_OK;

	TRY(flattened_decode(source->file, &out->flattened, error));
	out->size = out->flattened.size;
	out->is_cut = !out->flattened.complete;
	const struct range_map *records = &out->flattened.records;
	for (size_t i = 0; i < records->count; i++)
		page_set_add(&source->touched, records->extents[i].offset - FLATTENED_RECORD_SIZE,
			     FLATTENED_RECORD_SIZE);
	return KIOKU_OK;
}

/*
 * The longest piece at offset, at most size, that is in one place: *data is NULL where nothing was
 * written. 0: it is not there.
 */
static uint64_t piece_at(struct kdump_file *file, uint64_t offset, uint64_t size,
			 const uint8_t **data)
{
	const struct range_map *records = &file->flattened.records;
	const struct extent *record = range_map_find(records, offset, &file->hint);

	*data = NULL;
	if (offset >= file->size)
		return 0;
	if (record) {
		uint64_t skipped = offset - record->start, left = record->size - skipped;
		*data = file->source->file.data + record->offset + skipped;
		return size < left ? size : left;
	}
	if (file->is_cut)
		return 0;
	size_t next = range_map_after(records, offset);
	uint64_t end = next < records->count ? records->extents[next].start : file->size;
	return size < end - offset ? size : end - offset;
}

bool kdump_file_has(struct kdump_file *file, uint64_t offset, uint64_t size)
{
	const uint8_t *data;

	if (!file->is_flattened)
		return bytes_has(file->source->file, offset, size);
	while (size > 0) {
		uint64_t part = piece_at(file, offset, size, &data);
		if (part == 0)
			return false;
		offset += part;
		size -= part;
	}
	return true;
}

bool kdump_file_read(struct kdump_file *file, uint64_t offset, void *buffer, size_t size)
{
	const uint8_t *start = file->source->file.data, *data;
	uint8_t *out = buffer;
	struct bytes plain;

	if (!file->is_flattened) {
		if (!source_file_bytes(file->source, offset, size, &plain))
			return false;
		memcpy(buffer, plain.data, size);
		return true;
	}
	while (size > 0) {
		size_t part = (size_t)piece_at(file, offset, size, &data);
		if (part == 0)
			return false;
		if (data) {
			page_set_add(&file->source->touched, (uint64_t)(data - start), part);
			memcpy(out, data, part);
		} else {
			memset(out, 0, part);
		}
		offset += part;
		out += part;
		size -= part;
	}
	return true;
}

enum kioku_status kdump_file_keep(struct kdump_file *file, uint64_t offset, uint64_t size,
				  uint8_t **copy, struct bytes *out, struct kioku_error *error)
{
	/* A flattened file may claim any size; what matters has been written to it. */
	bool plausible = size <= file->source->file.size;

	if (plausible && !file->is_flattened && source_file_bytes(file->source, offset, size, out))
		return KIOKU_OK;
	if (!plausible || !kdump_file_has(file, offset, size))
		return error_set(error, KIOKU_ERROR_CORRUPT, "the file ends before them");
	free(*copy);
	*copy = malloc(size ? size : 1);
	if (!*copy)
		return error_no_memory(error);
	kdump_file_read(file, offset, *copy, size);
	*out = (struct bytes){ *copy, size };
	return KIOKU_OK;
}

void kdump_file_release(struct kdump_file *file)
{
	flattened_release(&file->flattened);
}
