/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "snapshot/xstate.h"

#include <cpuid.h>
#include <stdbool.h>
#include <string.h>

#include "base/bytes.h"

enum {
	LEGACY_SIZE = 576, /* x87, SSE and the header */
	FEATURES = 464,    /* where ptrace tells XCR0: arch/x86/kernel/fpu/xstate.c */
	LEAF = 0xd,
};

static const struct part {
	unsigned feature; /* bit of XCR0 */
	size_t offset, size;
} common[] = {
	{ 2, 576, 256 },   /* upper halves of ymm0 to ymm15 */
	{ 5, 1088, 64 },   /* k0 to k7 */
	{ 6, 1152, 512 },  /* upper halves of zmm0 to zmm15 */
	{ 7, 1664, 1024 }, /* zmm16 to zmm31 */
	{ 9, 2688, 8 },    /* PKRU */
};

static size_t offset_here(unsigned feature)
{
	unsigned size = 0, offset = 0, c, d;

	__cpuid_count(LEAF, feature, size, offset, c, d);
	return offset;
}

size_t xstate_to_common(const uint8_t *area, size_t size, uint8_t out[XSTATE_COMMON_LIMIT])
{
	uint64_t features, known = 3; /* x87 and SSE */
	size_t end = LEGACY_SIZE;
	bool differs = false;

	if (size < LEGACY_SIZE)
		return 0;
	features = load_le64(area + FEATURES);
	memset(out, 0, XSTATE_COMMON_LIMIT);
	memcpy(out, area, LEGACY_SIZE);
	for (size_t i = 0; i < sizeof(common) / sizeof(*common); i++) {
		const struct part *part = &common[i];
		if (!(features >> part->feature & 1))
			continue;
		size_t from = offset_here(part->feature);
		if (from < LEGACY_SIZE || from + part->size > size)
			return 0;
		memcpy(out + part->offset, area + from, part->size);
		known |= UINT64_C(1) << part->feature;
		differs |= from != part->offset;
		end = part->offset + part->size;
	}
	return differs && known == features ? end : 0;
}
