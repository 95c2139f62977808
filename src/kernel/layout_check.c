/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <string.h>

#include "kernel/layout_check.h"

#define DEPTH_LIMIT  8    /* anonymous structs in anonymous unions ... */
#define MEMBER_LIMIT 4096 /* of one structure */

struct comparison {
	const struct kioku_types *known, *other;
	const char *name; /* of the structure, with its keyword */
	uint32_t id;      /* in other */
	unsigned budget;
	char *difference;
	size_t size;
};

static bool differ(struct comparison *comparison, const char *member, uint64_t known,
		   uint64_t other)
{
	snprintf(comparison->difference, comparison->size, "%s%s%s is at bit %llu, not %llu",
		 comparison->name, *member ? "." : "", member, (unsigned long long)known,
		 (unsigned long long)other);
	return false;
}

static bool members_agree(struct comparison *comparison, uint32_t id, uint64_t base, unsigned depth)
{
	struct kioku_member known, other;

	for (uint32_t i = 0; kioku_type_member_at(comparison->known, id, i, &known); i++) {
		if (depth == DEPTH_LIMIT || comparison->budget == 0)
			return true;
		comparison->budget--;
		if (!*known.name) {
			if (!members_agree(comparison, known.type, base + known.bit_offset,
					   depth + 1))
				return false;
			continue;
		}
		/* Not of one name alone: a guess may know a few members only. */
		if (kioku_type_member(comparison->other, comparison->id, known.name, &other,
				      NULL) != KIOKU_OK)
			continue;
		if (other.bit_offset != base + known.bit_offset)
			return differ(comparison, known.name, base + known.bit_offset,
				      other.bit_offset);
	}
	return true;
}

bool layouts_agree(const struct kioku_types *known, const struct kioku_types *other,
		   char *difference, size_t size)
{
	static const char *const names[] = {
		"struct task_struct",    "struct mm_struct",   "struct signal_struct",
		"struct cred",           "struct pid",         "struct vm_area_struct",
		"struct files_struct",   "struct fs_struct",   "struct file",
		"struct dentry",         "struct inode",       "struct super_block",
		"struct mount",          "struct module",      "struct nsproxy",
		"struct page",           "struct list_head",   "struct sock",
		"struct net_device",     "struct net",         "struct timekeeper",
		"struct sighand_struct", "struct user_struct", "struct rq",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		struct comparison comparison = { .known = known,
						 .other = other,
						 .name = names[i],
						 .budget = MEMBER_LIMIT,
						 .difference = difference,
						 .size = size };
		uint32_t id;
		if (kioku_types_find(known, names[i], &id, NULL) != KIOKU_OK ||
		    kioku_types_find(other, names[i], &comparison.id, NULL) != KIOKU_OK)
			continue;
		uint64_t known_size = kioku_type_size(known, id);
		uint64_t other_size = kioku_type_size(other, comparison.id);
		if (known_size && other_size && known_size != other_size) {
			snprintf(difference, size, "%s has %llu bytes, not %llu", names[i],
				 (unsigned long long)known_size, (unsigned long long)other_size);
			return false;
		}
		if (!members_agree(&comparison, id, 0, 0))
			return false;
	}
	return true;
}
