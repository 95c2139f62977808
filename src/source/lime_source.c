/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* LiME images: as LiME, AVML without compression and many others write them. */
#include "base/error.h"
#include "format/lime_format.h"
#include "source/driver.h"

#define PAGE_MASK 4095u

static enum probe_verdict probe(struct bytes head, uint64_t file_size)
{
	if (lime_is_magic(head))
		return PROBE_YES;
	/* Two bytes prove little; but raw images are whole pages and compressed streams are not. */
	return lime_is_compressed(head) && (file_size & PAGE_MASK) ? PROBE_MAYBE : PROBE_NO;
}

/* Adds the record at an offset and moves the offset to the next; NULL, or what is wrong with it. */
static const char *add_record(struct kioku_source *source, struct range_map *map, uint64_t *offset,
			      bool *no_memory)
{
	uint8_t raw[LIME_HEADER_SIZE];
	struct lime_header header;
	const char *damage;
	size_t got = image_file_read(&source->file, *offset, raw, sizeof(raw), &damage);
	const char *problem = lime_header_decode((struct bytes){ raw, got }, &header);

	if (problem)
		return got < sizeof(raw) && *offset + sizeof(raw) <= source->file.size ? damage
										       : problem;
	uint64_t size = header.last - header.start + 1;
	uint64_t data = *offset + LIME_HEADER_SIZE;
	*no_memory = !source_add_extent(source, map, header.start, size, data);
	*offset = size < source->file.size - data ? data + size : source->file.size;
	return NULL;
}

static enum kioku_status open_lime(struct kioku_source *source,
				   const struct kioku_source_options *options,
				   struct kioku_error *error)
{
	CLEANUP(range_map_release) struct range_map map = { 0 };
	uint64_t offset = 0;
	bool no_memory = false;

	uint8_t head[2];

	if (image_file_copy(&source->file, 0, head, sizeof(head)) &&
	    lime_is_compressed((struct bytes){ head, sizeof(head) }))
		return error_set(error, KIOKU_ERROR_UNSUPPORTED,
				 "it looks like a LiME image compressed with zlib (compress=1), "
				 "which this version cannot read; decompress it first");
	for (uint64_t record = 0; offset < source->file.size; record++) {
		const char *problem = add_record(source, &map, &offset, &no_memory);
		if (no_memory)
			return error_no_memory(error);
		if (!problem)
			continue;
		if (record == 0)
			return error_set(error, KIOKU_ERROR_CORRUPT,
					 "record 0 at file offset 0x0: %s", problem);
		/* Without a header, nothing says where the next record would be. */
		diagnose(&source->diagnostics, KIOKU_GAP,
			 "record %llu at file offset 0x%llx: %s; the last %llu bytes of the file "
			 "are not used",
			 (unsigned long long)record, (unsigned long long)offset, problem,
			 (unsigned long long)(source->file.size - offset));
		break;
	}
	return source_add_layout(source, &map, error);
}

const struct source_driver lime_source = {
	.name = "lime",
	.help = "LiME image",
	.probe = probe,
	.open = open_lime,
};
