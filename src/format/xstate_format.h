/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Areas that XSAVE writes (Intel SDM volume 1, chapter 13): the legacy part and a header, then the parts of
 * features, where the CPU says or, compacted, one after the other.
 */
#ifndef FORMAT_XSTATE_FORMAT_H
#define FORMAT_XSTATE_FORMAT_H

#include "base/bytes.h"

#define XSTATE_FXSAVE_SIZE  512u  /* bytes: what FXSAVE writes, and a CPU without XSAVE */
#define XSTATE_HEAD_SIZE    576u  /* that, and the header */
#define XSTATE_COMMON_LIMIT 2696u /* bytes of an area with all that xstate_parts has */
/* Where debuggers look for the features that an area may have (XCR0): in what the CPU leaves alone. */
#define XSTATE_FEATURES 464u
#define XSTATE_PARTS    5

/* x87 and SSE, which the legacy part has. */
#define XSTATE_LEGACY UINT64_C(3)

struct xstate_part {
	unsigned feature; /* a bit of XCR0 */
	uint32_t offset;  /* where Intel's CPUs have it, which debuggers take for granted */
	uint32_t size;
};

/* AVX, AVX-512 (three parts) and PKRU, by feature. */
extern const struct xstate_part xstate_parts[XSTATE_PARTS];

struct xstate_header {
	uint64_t present; /* features that are not as at first (XSTATE_BV) */
	uint64_t layout;  /* of a compacted area, which features it has room for; else 0 */
};

/* head: of XSTATE_HEAD_SIZE bytes. */
struct xstate_header xstate_header_decode(const uint8_t *head);

/* Where a compacted area has a part; false: nowhere. */
bool xstate_compacted_offset(uint64_t layout, const struct xstate_part *part, uint32_t *offset);

/* What XSAVE did not write, because it was as at first, is made so. legacy: of XSTATE_FXSAVE_SIZE bytes. */
void xstate_complete_legacy(uint8_t *legacy, uint64_t present);

#endif
