/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "serve/completer.h"

/* Whether all of [start, start + size) lies in a map. */
static bool covers(const struct range_map *map, uint64_t start, uint64_t size)
{
	for (size_t i = range_map_after(map, start); size > 0; i++) {
		if (i == map->count || map->extents[i].start > start)
			return false;
		uint64_t left = map->extents[i].size - (start - map->extents[i].start);
		if (left >= size)
			return true;
		start += left;
		size -= left;
	}
	return true;
}

/* How many of the bytes that are left, from a word on, the next completion carries. */
static uint32_t next_size(const struct completer *completer, uint64_t start, uint32_t left,
			  struct random *splits)
{
	uint64_t boundary = completer->boundary, limit = left;

	/* All but the last one end where the boundary is. */
	if (left > completer->payload)
		limit = ((start + completer->payload) & -boundary) - start;
	if (!splits)
		return (uint32_t)limit;
	uint64_t first = (start & -boundary) + boundary - start;
	if (first >= limit)
		return (uint32_t)limit;
	uint32_t choices = (uint32_t)((limit - first + boundary - 1) / boundary) + 1;
	uint64_t size = first + random_below(splits, choices) * boundary;
	return (uint32_t)(size < limit ? size : limit);
}

static struct tlp_completion *add(const struct completer *completer, const struct tlp_read *read,
				  struct completions *out)
{
	struct tlp_completion *completion = &out->list[out->count++];

	*completion = (struct tlp_completion){
		.completer = completer->id,
		.requester = read->requester,
		.tag = read->tag,
		.status = TLP_SUCCESSFUL,
		.lower_address = (uint8_t)(read->address & 0x7f),
		.remaining = read->size > 0 ? read->size : 1, /* section 2.2.9 */
	};
	return completion;
}

static void refuse(const struct completer *completer, const struct tlp_read *read, uint8_t status,
		   struct completions *out)
{
	add(completer, read, out)->status = status;
}

/* Cuts what was read into completions. */
static void cut(const struct completer *completer, const struct tlp_read *read,
		struct random *splits, struct completions *out)
{
	uint64_t start = read->address & ~3ull, end = read->address + read->size;
	uint32_t left = (uint32_t)(((end + 3) & ~3ull) - start);
	const uint8_t *data = out->data;

	while (left > 0) {
		uint32_t size = next_size(completer, start, left, splits);
		struct tlp_completion *completion = add(completer, read, out);
		completion->data = (struct bytes){ data, size };
		if (start > read->address) {
			completion->lower_address = (uint8_t)(start & 0x7f);
			completion->remaining = (uint32_t)(end - start);
		}
		start += size;
		data += size;
		left -= size;
	}
}

enum completer_verdict completer_answer(const struct completer *completer,
					const struct tlp_read *read, struct random *splits,
					struct completions *out)
{
	uint32_t size = read->size > 0 ? read->size : 1;
	uint32_t skipped = (uint32_t)(read->address & 3);

	out->count = 0;
	if ((read->address & (TLP_DATA_MAX - 1)) + size > TLP_DATA_MAX)
		return COMPLETER_MALFORMED;
	bool is_ram = completer->ram ? covers(completer->ram, read->address, size)
				     : source_has(completer->source, read->address, size);
	if (completer->refusal != TLP_SUCCESSFUL || !is_ram) {
		refuse(completer, read,
		       completer->refusal ? completer->refusal : TLP_UNSUPPORTED_REQUEST, out);
		return is_ram ? COMPLETER_DONE : COMPLETER_OUTSIDE;
	}
	/* Of the words at both ends, what was not asked for is not read. */
	memset(out->data, 0, 4);
	if (read->size == 0) {
		add(completer, read, out)->data = (struct bytes){ out->data, 4 };
		return COMPLETER_DONE;
	}
	memset(out->data + (skipped + size - 1) / 4 * 4, 0, 4);
	if (kioku_source_read(completer->source, read->address, out->data + skipped, size, NULL) !=
	    KIOKU_OK) {
		refuse(completer, read, TLP_UNSUPPORTED_REQUEST, out);
		return COMPLETER_ABSENT;
	}
	cut(completer, read, splits, out);
	return COMPLETER_DONE;
}
