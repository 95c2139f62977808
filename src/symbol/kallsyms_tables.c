/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "symbol/kallsyms_tables.h"

#define KERNEL_START  0xffffffff80000000ull /* where any x86-64 kernel is linked, or above */
#define KERNEL_HALF   0xffff800000000000ull /* other architectures link anywhere above this */
#define IMAGE_LIMIT   (1ull << 30)          /* KERNEL_IMAGE_SIZE: no symbol is farther away */
#define PERCPU_LIMIT  (1ull << 31)          /* the encoding has no room for more */
#define PADDING_LIMIT 8

bool kallsyms_group_holds(struct window *window, const struct kallsyms_layout *layout,
			  const struct kallsyms_tokens *tokens, uint32_t group, uint32_t span)
{
	struct bytes names = kallsyms_names(window, layout);
	bool last = group + span >= kallsyms_groups(layout);
	uint64_t start = kallsyms_marker(window, layout, group);
	uint64_t end = last ? names.size : kallsyms_marker(window, layout, group + span);

	if (end > names.size || start >= end ||
	    end - start > (uint64_t)span * KALLSYMS_GROUP_LIMIT + PADDING_LIMIT ||
	    !window_need(window, layout->names + start, end - start))
		return false;
	names.size = end;
	uint64_t at = start;
	if (!kallsyms_skip_names(names, tokens, layout->lengths,
				 kallsyms_group_names(layout, group, span), &at))
		return false;
	if (!last)
		return at == end;
	/* Zeros up to the alignment of the markers. */
	for (; at < end; at++)
		if (end - at >= PADDING_LIMIT || names.data[at] != 0)
			return false;
	return true;
}

static bool is_near(const struct window *window, uint64_t address)
{
	uint64_t distance = address - window->virtual_start;

	if (!window->virtual_start)
		return address >= KERNEL_HALF;
	return distance < window->size + IMAGE_LIMIT || 0 - distance < IMAGE_LIMIT;
}

bool kallsyms_read_address(const struct window *window, const struct kallsyms_layout *layout,
			   uint32_t index, uint64_t *out)
{
	uint64_t offset =
		layout->addresses + (uint64_t)index * kallsyms_address_size(layout->encoding);
	uint64_t address = kallsyms_address(layout->encoding, window->data + offset,
					    window->virtual_start + offset, layout->relative_base);

	*out = address;
	switch (layout->encoding) {
	case KALLSYMS_ABSOLUTE:
	case KALLSYMS_RELATIVE_PERCPU:
		return kallsyms_is_absolute(layout, address) ? address < PERCPU_LIMIT
							     : is_near(window, address);
	case KALLSYMS_RELATIVE: return is_near(window, address);
	default: /* without a virtual start the addresses are offsets in the window */
		return !window->virtual_start || is_near(window, address);
	}
}

/* Whether the addresses ascend, damaged ones aside, and most of them are in the kernel. */
static bool prove_addresses(struct window *window, const struct kallsyms_layout *layout)
{
	uint64_t size = (uint64_t)layout->count * kallsyms_address_size(layout->encoding);
	uint32_t descents = 0, unusable = 0, absolute = 0;
	uint64_t previous = 0;
	uint64_t bias = kallsyms_order_bias(window, layout);

	if (layout->addresses > window->size || size > window->size - layout->addresses)
		return false;
	window_need(window, layout->addresses, size);
	for (uint32_t i = 0; i < layout->count; i++) {
		uint64_t address;
		if (!kallsyms_read_address(window, layout, i, &address)) {
			unusable++;
			continue;
		}
		descents += i > 0 && address + bias < previous + bias;
		absolute += kallsyms_is_absolute(layout, address);
		previous = address;
	}
	/* Per-CPU offsets are a few hundred; a table of nothing else is another encoding. */
	return absolute < layout->count / 4 && descents < layout->count / 8 &&
	       unusable < layout->count / 8;
}

static bool try_encoding(struct window *window, struct kallsyms_layout *layout,
			 enum kallsyms_addresses encoding, uint64_t addresses, uint64_t base)
{
	layout->encoding = encoding;
	layout->addresses = addresses;
	layout->relative_base = base;
	return prove_addresses(window, layout);
}

/* Offsets at a place, with the base after them, aligned. */
static bool try_relative(struct window *window, struct kallsyms_layout *layout, uint64_t offsets)
{
	uint64_t end = offsets + (((uint64_t)layout->count * 4 + 7) & ~7ull);
	struct bytes base;

	if (!window_bytes(window, end, 8, &base))
		return false;
	uint64_t value = load_le64(base.data);
	if (value < (window->virtual_start ? KERNEL_HALF : KERNEL_START) || !is_near(window, value))
		return false;
	return try_encoding(window, layout, KALLSYMS_RELATIVE_PERCPU, offsets, value) ||
	       try_encoding(window, layout, KALLSYMS_RELATIVE, offsets, value);
}

bool kallsyms_find_addresses(struct window *window, struct kallsyms_layout *layout)
{
	uint64_t count = layout->count;
	uint64_t before = layout->num_syms;
	uint64_t after = layout->token_index + 2 * KALLSYMS_TOKENS;
	uint64_t aligned = (after + 7) & ~7ull;
	uint64_t offsets = ((count * 4 + 7) & ~7ull) + 8;

	/* What has a base first: it proves more. Up to v6.3 the addresses come before the names. */
	if (before >= offsets && try_relative(window, layout, before - offsets))
		return true;
	if (try_relative(window, layout, aligned))
		return true;
	if (before >= 8 * count &&
	    try_encoding(window, layout, KALLSYMS_ABSOLUTE, before - 8 * count, 0))
		return true;
	return try_encoding(window, layout, KALLSYMS_ABSOLUTE, aligned, 0) ||
	       try_encoding(window, layout, KALLSYMS_PLACE_RELATIVE, after, 0) ||
	       try_encoding(window, layout, KALLSYMS_PLACE_RELATIVE, aligned, 0);
}
