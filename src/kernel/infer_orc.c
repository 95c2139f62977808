/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * struct orc_entry, arch/x86/include/asm/orc_types.h: six bytes, in one of three forms, which all rules of the
 * kernel tell. Two offsets, two registers of four bits, and then
 * v4.14 on: two bits of type, and whether it is the end, which has no register;
 * v6.3 on (ffb1b4a41016): the same with one before the last, where registers were saved;
 * v6.4 on (fb799447ae29): three bits of type, of which there are five, and that one.
 */
#include <stdlib.h>

#include "base/cleanup.h"
#include "kernel/infer.h"

enum {
	RULE_SIZE = 6,
	ADDRESS_SIZE = 4,
	KINDS_OFFSET = 4, /* in a rule */
	RULES_LIMIT = 1 << 23,
	CHUNK = 8192, /* rules that are read at once */
};

/* What the upper bytes of all rules are, how many of each. */
struct kinds {
	uint32_t counts[256];        /* by bits 8 to 15 */
	uint32_t with_register[256]; /* those of them that have a register for the stack */
	uint32_t all;
};

static bool count_kinds(struct inference *inference, uint64_t rules, uint32_t count,
			struct kinds *out)
{
	AUTO_FREE uint8_t *raw = malloc(CHUNK * RULE_SIZE);

	for (uint32_t at = 0; raw && at < count; at += CHUNK) {
		uint32_t part = count - at < CHUNK ? count - at : CHUNK;
		if (kernel_read(inference->kernel, rules + (uint64_t)at * RULE_SIZE, raw,
				(size_t)part * RULE_SIZE, NULL) != KIOKU_OK)
			return false;
		for (uint32_t i = 0; i < part; i++) {
			const uint8_t *kind = raw + i * RULE_SIZE + KINDS_OFFSET;
			out->counts[kind[1]]++;
			out->with_register[kind[1]] += (kind[0] & 0xf) != 0;
		}
	}
	out->all = count;
	return raw != NULL;
}

/* Of rules whose type, in so many bits, is at most the last: how many are of one. False: others are there. */
static bool count_type(const struct kinds *kinds, unsigned bits, unsigned last,
		       unsigned highest_bit, unsigned type, uint32_t *out)
{
	*out = 0;
	for (unsigned kind = 0; kind < 256; kind++) {
		unsigned own = kind & ((1u << bits) - 1);
		if (kinds->counts[kind] && (own > last || kind >> highest_bit))
			return false;
		if (own == type)
			*out += kinds->counts[kind];
	}
	return true;
}

/* Rules with one bit set, and of these those with a register. */
static uint32_t count_bit(const uint32_t counts[256], unsigned bit)
{
	uint32_t found = 0;

	for (unsigned kind = 0; kind < 256; kind++)
		if (kind >> bit & 1)
			found += counts[kind];
	return found;
}

/* How many bits the type has; then the bits of "signal" and "end", 0 if there are none. */
struct form {
	uint8_t type_bits, signal, end;
};

/* Most are of functions that were called; the others are of code between them. */
static bool is_most(uint32_t part, const struct kinds *kinds)
{
	return part > kinds->all / 2;
}

static bool find_form(const struct kinds *kinds, struct form *out)
{
	enum {
		CALL_OF_TWO_BITS = 0,
		LAST_OF_TWO_BITS = 2,
		CALL_OF_THREE_BITS = 2,
		LAST_OF_THREE_BITS = 4
	};
	uint32_t calls;

	*out = (struct form){ 3, 11, 0 };
	if (count_type(kinds, 3, LAST_OF_THREE_BITS, 4, CALL_OF_THREE_BITS, &calls) &&
	    is_most(calls, kinds))
		return true;
	*out = (struct form){ 2, 0, 10 };
	if (!count_type(kinds, 2, LAST_OF_TWO_BITS, 4, CALL_OF_TWO_BITS, &calls) ||
	    !is_most(calls, kinds))
		return false;
	/* The end has no register; whatever has one and the bit is where registers were saved. */
	if (count_bit(kinds->counts, 3) == 0)
		return count_bit(kinds->counts, 2) > 0 && count_bit(kinds->with_register, 2) == 0;
	*out = (struct form){ 2, 10, 11 };
	return count_bit(kinds->with_register, 2) > 0 && count_bit(kinds->with_register, 3) == 0;
}

void infer_orc(struct inference *inference)
{
	static const char *const evidence = "all rules of the kernel have this form, and no other";
	static const char *const type = "orc_entry";
	const struct kioku_kernel *kernel = inference->kernel;
	uint64_t addresses = kernel_symbol(kernel, "__start_orc_unwind_ip");
	uint64_t end = kernel_symbol(kernel, "__stop_orc_unwind_ip");
	uint64_t rules = kernel_symbol(kernel, "__start_orc_unwind");
	uint64_t rules_end = kernel_symbol(kernel, "__stop_orc_unwind");
	uint64_t count = (end - addresses) / ADDRESS_SIZE;
	struct kinds kinds = { 0 };
	struct form form;

	if (!addresses || end <= addresses || !rules || count > RULES_LIMIT ||
	    rules_end - rules != count * RULE_SIZE ||
	    !count_kinds(inference, rules, (uint32_t)count, &kinds) || !find_form(&kinds, &form))
		return;
	infer_member(inference, type, "sp_offset", 0, "short", evidence);
	infer_member(inference, type, "bp_offset", 2, "short", evidence);
	infer_bits(inference, type, "sp_reg", KINDS_OFFSET, 0, 4, evidence);
	infer_bits(inference, type, "bp_reg", KINDS_OFFSET, 4, 4, evidence);
	infer_bits(inference, type, "type", KINDS_OFFSET, 8, form.type_bits, evidence);
	if (form.signal)
		infer_bits(inference, type, "signal", KINDS_OFFSET, form.signal, 1, evidence);
	if (form.end)
		infer_bits(inference, type, "end", KINDS_OFFSET, form.end, 1, evidence);
	infer_size(inference, type, RULE_SIZE);
}
