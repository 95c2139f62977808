/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* XSAVE areas: where compacted ones have their parts, and what was as at first. */
#include "format/xstate_format.h"
#include "tap.h"

static uint32_t offset_of(uint64_t layout, size_t part)
{
	uint32_t offset;

	return xstate_compacted_offset(layout, &xstate_parts[part], &offset) ? offset : 0;
}

/* Intel SDM volume 1, section 13.4.3: one after the other, without those that there is no room for. */
static void places_parts_of_compacted_areas(void)
{
	const uint64_t all = 0x2e7, with_mpx = 0x2ff, avx = 7, with_tracing = 0x3e7;

	CHECK_EQUAL(offset_of(avx, 0), 576);
	CHECK_EQUAL(offset_of(avx, 1), 0);
	CHECK_EQUAL(offset_of(all, 1), 576 + 256);
	CHECK_EQUAL(offset_of(all, 2), 576 + 256 + 64);
	CHECK_EQUAL(offset_of(all, 3), 576 + 256 + 64 + 512);
	CHECK_EQUAL(offset_of(all, 4), 576 + 256 + 64 + 512 + 1024);
	CHECK_EQUAL(offset_of(with_mpx, 1), 576 + 256 + 128);
	CHECK_EQUAL(offset_of(with_tracing, 4), 576 + 256 + 64 + 512 + 1024 + 128);
	CHECK_EQUAL(offset_of(0x207, 4), 576 + 256);
}

static void tells_compacted_areas(void)
{
	uint8_t head[XSTATE_HEAD_SIZE] = { 0 };

	store_le64(head + 512, 5);
	CHECK_EQUAL(xstate_header_decode(head).present, 5);
	CHECK_EQUAL(xstate_header_decode(head).layout, 0);
	store_le64(head + 520, UINT64_C(1) << 63 | 0x2e7);
	CHECK_EQUAL(xstate_header_decode(head).layout, 0x2e7);
	store_le64(head + 520, 0x2e7); /* without its highest bit it says nothing */
	CHECK_EQUAL(xstate_header_decode(head).layout, 0);
}

static bool are_zeros(const uint8_t *bytes, size_t size)
{
	while (size > 0 && bytes[size - 1] == 0)
		size--;
	return size == 0;
}

static void completes_what_was_not_written(void)
{
	uint8_t area[XSTATE_FXSAVE_SIZE];

	memset(area, 0xaa, sizeof(area));
	xstate_complete_legacy(area, 7);
	CHECK(area[0] == 0xaa && area[24] == 0xaa && area[32] == 0xaa && area[415] == 0xaa);
	/* x87 alone is as at first: its control word is not zero. */
	xstate_complete_legacy(area, 6);
	CHECK_EQUAL(load_le16(area), 0x37f);
	CHECK(are_zeros(area + 2, 22) && are_zeros(area + 32, 128));
	CHECK(area[24] == 0xaa && area[160] == 0xaa);
	/* With AVX written, MXCSR is, though the lower halves are not. */
	xstate_complete_legacy(area, 4);
	CHECK(area[24] == 0xaa && are_zeros(area + 160, 256) && area[416] == 0xaa);
	xstate_complete_legacy(area, 0);
	CHECK_EQUAL(load_le32(area + 24), 0x1f80);
}

TAP_MAIN(TEST(places_parts_of_compacted_areas), TEST(tells_compacted_areas),
	 TEST(completes_what_was_not_written))
