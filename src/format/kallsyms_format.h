/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The parts of the kernel's symbol tables (scripts/kallsyms.c, kernel/kallsyms.c). A name is a
 * length and that many bytes, each of which stands for a token; the first character of the first
 * token is the symbol's type. Every 256th name's offset is a marker, so that a name in the middle
 * can be reached, and damage be left behind.
 */
#ifndef FORMAT_KALLSYMS_FORMAT_H
#define FORMAT_KALLSYMS_FORMAT_H

#include "base/bytes.h"

#define KALLSYMS_TOKENS      256
#define KALLSYMS_GROUP       256
#define KALLSYMS_NAME_LIMIT  1024 /* KSYM_NAME_LEN is 128, and 512 since v6.1 */
#define KALLSYMS_TOKEN_LIMIT 64
/* A compressed name is at least a length and a token, and seldom longer than this. */
#define KALLSYMS_GROUP_MINIMUM (2 * KALLSYMS_GROUP)
#define KALLSYMS_GROUP_LIMIT   (320 * KALLSYMS_GROUP)

/*
 * The digits, each a token of its own: in every kernel some symbol has each of them, and a
 * character in use keeps its own code, so that they follow one another.
 */
#define KALLSYMS_DIGITS "0\0001\0002\0003\0004\0005\0006\0007\0008\0009" /* and the last NUL */

/* How a name's length is stored. */
enum kallsyms_lengths {
	KALLSYMS_LENGTH_BYTE,    /* up to v6.0 */
	KALLSYMS_LENGTH_ULEB128, /* one byte or two: 73bbb94466fd, v6.1 */
};

enum kallsyms_addresses {
	KALLSYMS_ABSOLUTE,        /* u64: before v4.6, or without KALLSYMS_BASE_RELATIVE */
	KALLSYMS_RELATIVE,        /* base + u32: 2213e9a66bb8, v4.6 */
	KALLSYMS_RELATIVE_PERCPU, /* s32: as it is from 0 on, else base - 1 - value; to v6.14 */
	KALLSYMS_PLACE_RELATIVE,  /* where it lies + s32: a081b5789255, v7.0 */
};

struct kallsyms_token {
	/* Padded, so that a copy of 16 bytes stays inside; size 0: damaged, or not for names. */
	uint8_t text[KALLSYMS_TOKEN_LIMIT];
	uint8_t size;
	bool starts_name; /* the first character is a type and the second, if any, starts a name */
};

struct kallsyms_tokens {
	struct kallsyms_token token[KALLSYMS_TOKENS];
	unsigned usable;
	size_t longest;
};

/*
 * Whether 256 u16 at index are a token index that has the digits at digits_offset from the table's
 * start: ascending from 0, with the digits two bytes apart.
 */
bool kallsyms_index_matches(struct bytes index, uint32_t *table_size, uint32_t *digits_offset);

/*
 * Decodes the token table by its index, both with the size that belongs to them. A token that
 * contradicts the index is unusable; false if there are too many of them.
 */
bool kallsyms_tokens_decode(struct bytes table, struct bytes index, struct kallsyms_tokens *out);

/*
 * Steps over count names from *offset without expanding them; false where a name runs out of
 * bounds or does not start as one does.
 */
bool kallsyms_skip_names(struct bytes names, const struct kallsyms_tokens *tokens,
			 enum kallsyms_lengths lengths, unsigned count, uint64_t *offset);

/*
 * Expands the name at *offset, NUL-terminated and without its type, and moves *offset after it.
 * out needs KALLSYMS_NAME_LIMIT + KALLSYMS_TOKEN_LIMIT bytes. False if it is no name.
 */
bool kallsyms_expand_name(struct bytes names, const struct kallsyms_tokens *tokens,
			  enum kallsyms_lengths lengths, uint64_t *offset, char *type, char *out,
			  size_t *out_size);

/* One symbol's address from its entry. place is where entry lies, base the relative base. */
uint64_t kallsyms_address(enum kallsyms_addresses encoding, const uint8_t *entry, uint64_t place,
			  uint64_t base);

/* Bytes for each entry of the table of addresses. */
static inline unsigned kallsyms_address_size(enum kallsyms_addresses encoding)
{
	return encoding == KALLSYMS_ABSOLUTE ? 8 : 4;
}

#endif
