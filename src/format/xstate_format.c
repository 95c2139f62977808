/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "format/xstate_format.h"

#include <string.h>

enum {
	PRESENT = 512,
	LAYOUT = 520,
	/* Of the legacy part, section 10.5.1: x87 up to MXCSR and from its registers on, then xmm0 to xmm15. */
	CONTROL = 0,
	MXCSR = 24,
	X87_REGISTERS = 32,
	XMM_REGISTERS = 160,
	XMM_END = 416,
	AVX = 2,
};

const struct xstate_part xstate_parts[XSTATE_PARTS] = {
	{ AVX, 576, 256 }, /* upper halves of ymm0 to ymm15 */
	{ 5, 1088, 64 },   /* k0 to k7 */
	{ 6, 1152, 512 },  /* upper halves of zmm0 to zmm15 */
	{ 7, 1664, 1024 }, /* zmm16 to zmm31 */
	{ 9, 2688, 8 },    /* PKRU */
};

/* Of all features up to PKRU, the ones that nobody asks for included: MPX and processor tracing. */
static const uint32_t sizes[] = { 0, 0, 256, 64, 64, 64, 512, 1024, 128, 8 };

struct xstate_header xstate_header_decode(const uint8_t *head)
{
	const uint64_t is_compacted = UINT64_C(1) << 63;
	struct xstate_header header = { load_le64(head + PRESENT), load_le64(head + LAYOUT) };

	header.layout = header.layout & is_compacted ? header.layout & ~is_compacted : 0;
	return header;
}

bool xstate_compacted_offset(uint64_t layout, const struct xstate_part *part, uint32_t *offset)
{
	*offset = XSTATE_HEAD_SIZE;
	/* Those up to PKRU are of whole lines: none has to be aligned. */
	for (unsigned i = AVX; i < part->feature; i++)
		if (layout >> i & 1)
			*offset += sizes[i];
	return layout >> part->feature & 1;
}

void xstate_complete_legacy(uint8_t *legacy, uint64_t present)
{
	const uint64_t x87 = 1, sse = 2, avx = 1u << AVX;

	if (!(present & x87)) {
		memset(legacy + CONTROL, 0, MXCSR - CONTROL);
		store_le16(legacy + CONTROL, 0x37f);
		memset(legacy + X87_REGISTERS, 0, XMM_REGISTERS - X87_REGISTERS);
	}
	if (!(present & sse))
		memset(legacy + XMM_REGISTERS, 0, XMM_END - XMM_REGISTERS);
	if (!(present & (sse | avx)))
		store_le32(legacy + MXCSR, 0x1f80);
}
