/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "format/series_format.h"

#include <string.h>

enum { VERSION = 1, HEAD = 48, RANGE = 24, PAGE = SERIES_PAGE };

/* Takes so many entries off what is left. */
static bool take(struct bytes *left, uint64_t count, size_t size, struct bytes *out)
{
	if (count > left->size / size)
		return false;
	*out = (struct bytes){ left->data, (size_t)count * size };
	left->data += out->size;
	left->size -= out->size;
	return true;
}

static bool take_ranges(struct bytes *left, uint64_t count, struct series_ranges *out)
{
	out->count = (size_t)count;
	return take(left, count, RANGE, &out->bytes);
}

bool series_decode(struct bytes note, struct series_moment *out)
{
	if (note.size < HEAD || load_le32(note.data) != VERSION)
		return false;
	out->moment = load_le32(note.data + 4);
	memcpy(out->id, note.data + 8, SERIES_ID_SIZE);
	out->description = (struct bytes){ note.data + HEAD, note.size - HEAD };
	return take_ranges(&out->description, load_le64(note.data + 24), &out->segments) &&
	       take_ranges(&out->description, load_le64(note.data + 32), &out->runs) &&
	       take(&out->description, load_le64(note.data + 40), SERIES_DIGEST_SIZE,
		    &out->digests);
}

bool series_range_decode(const struct series_ranges *ranges, size_t index, uint64_t *end,
			 struct series_range *out)
{
	if (index >= ranges->count)
		return false;
	const uint8_t *data = ranges->bytes.data + index * RANGE;
	*out = (struct series_range){ load_le64(data), load_le64(data + 8), load_le64(data + 16) };
	if (out->start < *end || out->start % PAGE != 0 || out->size == 0 ||
	    out->size % PAGE != 0 || out->size > UINT64_MAX - out->start)
		return false;
	*end = out->start + out->size;
	return true;
}

size_t series_size(const struct series_moment *moment)
{
	return HEAD + (moment->segments.count + moment->runs.count) * RANGE + moment->digests.size +
	       moment->description.size;
}

void series_encode(struct series_moment *moment, uint8_t *out)
{
	struct series_ranges *segments = &moment->segments, *runs = &moment->runs;

	store_le32(out, VERSION);
	store_le32(out + 4, moment->moment);
	memcpy(out + 8, moment->id, SERIES_ID_SIZE);
	store_le64(out + 24, segments->count);
	store_le64(out + 32, runs->count);
	store_le64(out + 40, moment->digests.size / SERIES_DIGEST_SIZE);
	segments->bytes = (struct bytes){ out + HEAD, segments->count * RANGE };
	runs->bytes = (struct bytes){ out + HEAD + segments->bytes.size, runs->count * RANGE };
	out += HEAD + segments->bytes.size + runs->bytes.size;
	memcpy(out, moment->digests.data, moment->digests.size);
	memcpy(out + moment->digests.size, moment->description.data, moment->description.size);
}

void series_range_encode(const struct series_ranges *ranges, size_t index,
			 const struct series_range *range)
{
	uint8_t *out = (uint8_t *)(uintptr_t)ranges->bytes.data + index * RANGE;

	store_le64(out, range->start);
	store_le64(out + 8, range->size);
	store_le64(out + 16, range->what);
}
