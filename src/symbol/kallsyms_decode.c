/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From located kallsyms tables to a symbol table, past whatever is damaged in them. */
#include "base/error.h"
#include "symbol/kallsyms_tables.h"
#include "symbol/symbol_builder.h"

#define NOT_KEPT   UINT32_MAX
#define SPAN_LIMIT 2 /* groups that are proved together */

struct decoding {
	struct window *window;
	const struct kallsyms_layout *layout;
	struct kallsyms_tokens tokens;
	uint64_t *addresses;
	uint8_t *kept; /* for each address, whether it fits in with the others */
	struct symbol_builder builder;
	uint32_t lost_names, lost_addresses;
};

static void decoding_release(struct decoding *decoding)
{
	free(decoding->addresses);
	free(decoding->kept);
	symbol_builder_release(&decoding->builder);
}

/*
 * Addresses ascend, so that those outside the longest ascending series are the damaged ones. The
 * series is found by patience sorting: tails[n] ends the best series of n + 1 so far.
 */
static bool keep_ascending(struct decoding *decoding)
{
	uint32_t count = decoding->layout->count;
	const uint64_t *addresses = decoding->addresses;
	uint64_t bias = kallsyms_order_bias(decoding->window, decoding->layout);
	AUTO_FREE uint32_t *tails = malloc((size_t)count * sizeof(*tails));
	AUTO_FREE uint32_t *previous = malloc((size_t)count * sizeof(*previous));
	uint32_t length = 0;

	if (!tails || !previous)
		return false;
	for (uint32_t i = 0; i < count; i++) {
		if (!decoding->kept[i])
			continue;
		uint32_t low = 0;
		uint32_t high = length;
		/* Undamaged addresses go to the end at once. */
		if (length > 0 && addresses[tails[length - 1]] + bias <= addresses[i] + bias)
			low = length;
		while (low < high) {
			uint32_t middle = low + (high - low) / 2;
			if (addresses[tails[middle]] + bias <= addresses[i] + bias)
				low = middle + 1;
			else
				high = middle;
		}
		previous[i] = low > 0 ? tails[low - 1] : NOT_KEPT;
		tails[low] = i;
		if (low == length)
			length++;
	}

	memset(decoding->kept, 0, count);
	for (uint32_t i = length ? tails[length - 1] : NOT_KEPT; i != NOT_KEPT; i = previous[i])
		decoding->kept[i] = 1;
	decoding->lost_addresses = count - length;
	return true;
}

static bool decode_addresses(struct decoding *decoding)
{
	const struct kallsyms_layout *layout = decoding->layout;
	unsigned size = kallsyms_address_size(layout->encoding);
	uint64_t bias = kallsyms_order_bias(decoding->window, layout);
	uint64_t previous = 0 - bias;
	bool ascending = true;

	window_need(decoding->window, layout->addresses, (uint64_t)layout->count * size);
	for (uint32_t first = 0; first < layout->count; first += KALLSYMS_GROUP) {
		uint32_t count = kallsyms_group_names(layout, first / KALLSYMS_GROUP, 1);
		bool present =
			window_need(decoding->window, layout->addresses + (uint64_t)first * size,
				    (uint64_t)count * size);
		for (uint32_t i = first; i < first + count; i++) {
			uint64_t *address = &decoding->addresses[i];
			decoding->kept[i] =
				kallsyms_read_address(decoding->window, layout, i, address) &&
				present;
			if (!decoding->kept[i] || previous + bias > *address + bias)
				ascending = false;
			previous = *address;
		}
	}
	return ascending || keep_ascending(decoding);
}

/*
 * Decodes `span` groups whose bounds hold. Should a name be none after all, the group does not
 * count: a wrong row is worse than a missing one. Sets *valid; false when out of memory.
 */
static bool decode_group(struct decoding *decoding, uint32_t group, uint32_t span, bool *valid)
{
	const struct kallsyms_layout *layout = decoding->layout;
	struct bytes names = kallsyms_names(decoding->window, layout);
	uint64_t at = kallsyms_marker(decoding->window, layout, group);
	uint32_t first = group * KALLSYMS_GROUP;
	uint32_t count = kallsyms_group_names(layout, group, span);
	struct {
		uint32_t start;
		uint16_t size;
		char type;
	} name[SPAN_LIMIT * KALLSYMS_GROUP];
	uint32_t used = 0;

	char *text = symbol_builder_text(&decoding->builder, (size_t)count * KALLSYMS_NAME_LIMIT +
								     KALLSYMS_TOKEN_LIMIT);
	if (!text)
		return false;
	for (uint32_t i = 0; i < count; i++) {
		size_t size;
		*valid = kallsyms_expand_name(names, &decoding->tokens, layout->lengths, &at,
					      &name[i].type, text + used, &size);
		if (!*valid)
			return true;
		name[i].start = used;
		name[i].size = (uint16_t)size;
		used += (uint32_t)size + 1;
	}
	for (uint32_t i = 0; i < count; i++) {
		uint64_t address = decoding->addresses[first + i];
		if (decoding->kept[first + i])
			symbol_builder_add(&decoding->builder, address, name[i].type,
					   kallsyms_is_absolute(layout, address), name[i].start,
					   name[i].size);
	}
	symbol_builder_commit(&decoding->builder, used);
	return true;
}

static bool decode_names(struct decoding *decoding)
{
	const struct kallsyms_layout *layout = decoding->layout;
	uint32_t groups = kallsyms_groups(layout);

	window_need(decoding->window, layout->num_syms, layout->token_table - layout->num_syms);
	for (uint32_t group = 0, span; group < groups; group += span) {
		bool valid = false;
		/* Two groups prove each other where the marker between them is damaged. */
		for (span = 1; span <= SPAN_LIMIT && group + span <= groups; span++) {
			if (kallsyms_group_holds(decoding->window, layout, &decoding->tokens, group,
						 span) &&
			    !decode_group(decoding, group, span, &valid))
				return false;
			if (valid)
				break;
		}
		if (!valid) {
			span = 1;
			decoding->lost_names += kallsyms_group_names(layout, group, 1);
		}
	}
	return true;
}

enum kioku_status symbols_from_kallsyms(struct window *window, const struct kallsyms_layout *layout,
					struct kioku_symbols **out,
					const struct diagnostics *diagnostics,
					struct kioku_error *error)
{
	CLEANUP(decoding_release)
	struct decoding decoding = { .window = window, .layout = layout };
	struct bytes table, index;

	if (!window_bytes(window, layout->token_table, layout->token_table_size, &table) ||
	    !window_bytes(window, layout->token_index, 2 * KALLSYMS_TOKENS, &index) ||
	    !kallsyms_tokens_decode(table, index, &decoding.tokens))
		return error_set(error, KIOKU_ERROR_CORRUPT,
				 "kallsyms: the token table is damaged");
	decoding.addresses = malloc(layout->count * sizeof(*decoding.addresses));
	decoding.kept = malloc(layout->count);
	if (!decoding.addresses || !decoding.kept ||
	    !symbol_builder_begin(&decoding.builder, layout->count) ||
	    !decode_addresses(&decoding) || !decode_names(&decoding))
		return error_no_memory(error);

	uint32_t lost = layout->count - decoding.builder.header.count;
	if (lost > layout->count / 2)
		return error_set(error, KIOKU_ERROR_CORRUPT, "kallsyms: %u of %u symbols are lost",
				 lost, layout->count);
	if (lost > 0)
		diagnose(diagnostics, KIOKU_GAP,
			 "kallsyms: %u of %u symbols are lost: %u names and %u addresses are "
			 "damaged",
			 lost, layout->count, decoding.lost_names, decoding.lost_addresses);
	return symbol_builder_finish(&decoding.builder, out, error);
}
