/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Access to kallsyms tables by a layout that may still be a guess: locating and decoding share it. */
#ifndef SYMBOL_KALLSYMS_TABLES_H
#define SYMBOL_KALLSYMS_TABLES_H

#include "symbol/symbols.h"

static inline uint32_t kallsyms_groups(const struct kallsyms_layout *layout)
{
	return (layout->count + KALLSYMS_GROUP - 1) / KALLSYMS_GROUP;
}

/* The names in `span` groups from one on. */
static inline uint32_t kallsyms_group_names(const struct kallsyms_layout *layout, uint32_t group,
					    uint32_t span)
{
	uint32_t left = layout->count - group * KALLSYMS_GROUP;

	return left < span * KALLSYMS_GROUP ? left : span * KALLSYMS_GROUP;
}

/* All names, from the first up to the markers. */
static inline struct bytes kallsyms_names(const struct window *window,
					  const struct kallsyms_layout *layout)
{
	return (struct bytes){ window->data + layout->names, layout->markers - layout->names };
}

/* Where a group's names begin, from the start of the names: what the marker should say, for 0. */
static inline uint64_t kallsyms_marker(const struct window *window,
				       const struct kallsyms_layout *layout, uint32_t group)
{
	const uint8_t *at = window->data + layout->markers + (uint64_t)group * layout->marker_size;

	if (group == 0)
		return 0;
	return layout->marker_size == 8 ? load_le64(at) : load_le32(at);
}

/*
 * Whether the names in `span` groups, stepped over one by one, end exactly where the next marker
 * (or the end of the names) is. The markers must be in the window.
 */
bool kallsyms_group_holds(struct window *window, const struct kallsyms_layout *layout,
			  const struct kallsyms_tokens *tokens, uint32_t group, uint32_t span);

/*
 * Completes a layout whose names are proved by the addresses: tries every known place and encoding
 * and takes the one whose values ascend and are kernel addresses.
 */
bool kallsyms_find_addresses(struct window *window, struct kallsyms_layout *layout);

/* Reads one address; false if it is no kernel address, so that it must be damaged. */
bool kallsyms_read_address(const struct window *window, const struct kallsyms_layout *layout,
			   uint32_t index, uint64_t *out);

/* Whether KASLR does not move an address: the offset of a per-CPU variable. */
static inline bool kallsyms_is_absolute(const struct kallsyms_layout *layout, uint64_t address)
{
	return (layout->encoding == KALLSYMS_ABSOLUTE ||
		layout->encoding == KALLSYMS_RELATIVE_PERCPU) &&
	       !(address >> 63);
}

/*
 * What to add to addresses before they are compared: without the window's own address, place
 * relative ones are offsets in the window, and negative for what lies before it.
 */
static inline uint64_t kallsyms_order_bias(const struct window *window,
					   const struct kallsyms_layout *layout)
{
	return layout->encoding == KALLSYMS_PLACE_RELATIVE && !window->virtual_start ? 1ull << 63
										     : 0;
}

#endif
