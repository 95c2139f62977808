/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whether two descriptions of the structures that a kernel is read with are of the same kernel. */
#ifndef KERNEL_LAYOUT_CHECK_H
#define KERNEL_LAYOUT_CHECK_H

#include "type/types.h"

/*
 * Compares sizes, and the places of all members that have names, of some structures that differ between builds. What
 * one of them lacks is no difference. False: what differs, in words, is in the buffer.
 */
bool layouts_agree(const struct kioku_types *known, const struct kioku_types *other,
		   char *difference, size_t size);

#endif
