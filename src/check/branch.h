/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CHECK_BRANCH_H
#define CHECK_BRANCH_H

#include "base/bytes.h"

/* Where a distance of 32 bits leads, as calls and jumps have it, and tables of places in code: from an address on. */
static inline uint64_t branch_target(const uint8_t *distance, uint64_t from)
{
	return from + (uint64_t)(int64_t)(int32_t)load_le32(distance);
}

#endif
