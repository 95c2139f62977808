/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>

#include "base/address_set.h"

static uint64_t *find_slot(uint64_t *slots, size_t capacity, uint64_t address)
{
	/* Fibonacci hashing: kernel addresses differ in their middle bits. */
	size_t index = (size_t)(address * 0x9e3779b97f4a7c15ull >> 20) & (capacity - 1);

	while (slots[index] != 0 && slots[index] != address)
		index = (index + 1) & (capacity - 1);
	return &slots[index];
}

static bool grow(struct address_set *set)
{
	size_t capacity = set->capacity ? set->capacity * 2 : 64;
	uint64_t *slots = calloc(capacity, sizeof(*slots));

	if (!slots)
		return false;
	for (size_t i = 0; i < set->capacity; i++)
		if (set->slots[i])
			*find_slot(slots, capacity, set->slots[i]) = set->slots[i];
	free(set->slots);
	set->slots = slots;
	set->capacity = capacity;
	return true;
}

enum address_set_result address_set_add(struct address_set *set, uint64_t address)
{
	if (set->count * 2 >= set->capacity && !grow(set))
		return ADDRESS_NO_MEMORY;
	uint64_t *slot = find_slot(set->slots, set->capacity, address);
	if (*slot == address)
		return ADDRESS_KNOWN;
	*slot = address;
	set->count++;
	return ADDRESS_ADDED;
}

bool address_set_has(const struct address_set *set, uint64_t address)
{
	return set->capacity && *find_slot(set->slots, set->capacity, address) == address &&
	       address != 0;
}

void address_set_release(struct address_set *set)
{
	free(set->slots);
	*set = (struct address_set){ 0 };
}
