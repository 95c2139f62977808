/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* XSAVE areas (Intel SDM volume 1, chapter 13), whose parts lie where the CPU says. */
#ifndef SNAPSHOT_XSTATE_H
#define SNAPSHOT_XSTATE_H

#include <stddef.h>
#include <stdint.h>

#include "format/xstate_format.h"

/*
 * Puts the parts of an area of this machine where Intel's CPUs have them, which is what debuggers
 * take for granted; AMD's have them elsewhere. Returns the size of out, or 0 if the area is so already
 * or has parts that no such place is known for.
 */
size_t xstate_to_common(const uint8_t *area, size_t size, uint8_t out[XSTATE_COMMON_LIMIT]);

#endif
