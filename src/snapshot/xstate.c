/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "snapshot/xstate.h"

#include <cpuid.h>
#include <stdbool.h>
#include <string.h>

#include "base/bytes.h"
#include "format/xstate_format.h"

enum { LEAF = 0xd };

static size_t offset_here(unsigned feature)
{
	unsigned size = 0, offset = 0, c, d;

	__cpuid_count(LEAF, feature, size, offset, c, d);
	return offset;
}

size_t xstate_to_common(const uint8_t *area, size_t size, uint8_t out[XSTATE_COMMON_LIMIT])
{
	uint64_t features, known = XSTATE_LEGACY;
	size_t end = XSTATE_HEAD_SIZE;
	bool differs = false;

	if (size < XSTATE_HEAD_SIZE)
		return 0;
	features = load_le64(area + XSTATE_FEATURES);
	memset(out, 0, XSTATE_COMMON_LIMIT);
	memcpy(out, area, XSTATE_HEAD_SIZE);
	for (size_t i = 0; i < XSTATE_PARTS; i++) {
		const struct xstate_part *part = &xstate_parts[i];
		if (!(features >> part->feature & 1))
			continue;
		size_t from = offset_here(part->feature);
		if (from < XSTATE_HEAD_SIZE || from + part->size > size)
			return 0;
		memcpy(out + part->offset, area + from, part->size);
		known |= UINT64_C(1) << part->feature;
		differs |= from != part->offset;
		end = part->offset + part->size;
	}
	return differs && known == features ? end : 0;
}
