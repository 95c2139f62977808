/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Mappings that follow one another, of which the kernel is told something by one call, with halves of the
 * holes around them: whatever the target makes of them meanwhile, splits, joins, enlarges, it does not
 * find that of two which touch only one is tracked. mremap(2) refuses both then, which had been one.
 */
#ifndef SNAPSHOT_MAPPING_GROUP_H
#define SNAPSHOT_MAPPING_GROUP_H

#include "format/maps_format.h"
#include "snapshot/userfault.h"

#define MAPPING_KERNEL \
	(UINT64_C(1) << 63) /* what starts above it, [vsyscall], is not the process's */

struct mapping_group {
	const struct mapping_list *list; /* ascending */
	size_t first, past;
};

/* The next group, from i on, of mappings that are fit for something; false: no more. */
bool mapping_group_next(const struct mapping_list *list, size_t i,
			bool (*is_fit)(const struct mapping *mapping), struct mapping_group *group);

/* A group with halves of the holes around it. */
void mapping_group_range(const struct mapping_group *group, uint64_t *start, uint64_t *end);

/*
 * Calls change for a group; or if the kernel refuses that because of one of them, for each half, and so
 * on. done, unless NULL, is told of each mapping whether it was changed, in ascending order.
 */
void mapping_group_change(const struct mapping_group *group, const struct userfault *userfault,
			  bool (*change)(const struct userfault *userfault, uint64_t start,
					 uint64_t end),
			  void (*done)(void *user, const struct mapping *mapping, bool changed),
			  void *user);

#endif
