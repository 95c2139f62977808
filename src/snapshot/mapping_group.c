/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "snapshot/mapping_group.h"

/* So many, for the mmap lock is held meanwhile, and a few more up to the next hole. */
enum { PAGE = 4096, GROUP = 64, GROUP_LIMIT = 512 };

bool mapping_group_next(const struct mapping_list *list, size_t i,
			bool (*is_fit)(const struct mapping *mapping), struct mapping_group *group)
{
	const struct mapping *mappings = list->mappings;

	while (i < list->count && !is_fit(&mappings[i]))
		i++;
	*group = (struct mapping_group){ list, i, i };
	while (i < list->count && mappings[i].start < MAPPING_KERNEL && is_fit(&mappings[i]) &&
	       i - group->first < GROUP_LIMIT &&
	       (i - group->first < GROUP || mappings[i].start == mappings[i - 1].end))
		i++;
	group->past = i;
	return group->past > group->first;
}

/* Of the hole below a mapping. */
static uint64_t middle(const struct mapping_list *list, size_t i)
{
	uint64_t below = list->mappings[i - 1].end, above = list->mappings[i].start;

	return below + (above - below) / 2 / PAGE * PAGE;
}

static uint64_t start_of(const struct mapping_group *group)
{
	return group->first > 0 ? middle(group->list, group->first)
				: group->list->mappings[0].start;
}

static uint64_t end_of(const struct mapping_group *group)
{
	const struct mapping_list *list = group->list;
	bool has_next =
		group->past < list->count && list->mappings[group->past].start < MAPPING_KERNEL;

	return has_next ? middle(list, group->past) : list->mappings[group->past - 1].end;
}

void mapping_group_range(const struct mapping_group *group, uint64_t *start, uint64_t *end)
{
	*start = start_of(group);
	*end = end_of(group);
}

void mapping_group_change(const struct mapping_group *group, const struct userfault *userfault,
			  bool (*change)(const struct userfault *userfault, uint64_t start,
					 uint64_t end),
			  void (*done)(void *user, const struct mapping *mapping, bool changed),
			  void *user)
{
	size_t first = group->first, past = group->past, half = first + (past - first) / 2;
	const struct mapping *mappings = group->list->mappings;
	uint64_t start, end;

	mapping_group_range(group, &start, &end);
	bool changed = change(userfault, start, end);

	if (!changed && past - first > 1) {
		const struct mapping_group lower = { group->list, first, half };
		const struct mapping_group upper = { group->list, half, past };
		mapping_group_change(&lower, userfault, change, done, user);
		mapping_group_change(&upper, userfault, change, done, user);
		return;
	}
	/* Huge pages of hugetlbfs are not to begin in the middle of a hole. */
	if (!changed)
		changed = change(userfault, mappings[first].start, mappings[first].end);
	for (size_t i = first; done && i < past; i++)
		done(user, &mappings[i], changed);
}
