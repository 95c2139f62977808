/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A set of addresses other than 0: which nodes of a list were seen, which tasks are known. */
#ifndef BASE_ADDRESS_SET_H
#define BASE_ADDRESS_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* All zero is an empty set. */
struct address_set {
	uint64_t *slots; /* open addressing; 0 is a free slot */
	size_t capacity; /* a power of two */
	size_t count;
};

enum address_set_result { ADDRESS_ADDED, ADDRESS_KNOWN, ADDRESS_NO_MEMORY };

enum address_set_result address_set_add(struct address_set *set, uint64_t address);
bool address_set_has(const struct address_set *set, uint64_t address);
void address_set_release(struct address_set *set);

#endif
