/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "format/kallsyms_format.h"

/* With more tokens damaged than this, most names would be lost. */
#define TOKENS_NEEDED 240
#define LONGEST_COPY  16

/* The letters of nm(1) that kallsyms keeps: undefined and debugging symbols never get in. */
static bool is_type(uint8_t byte)
{
	return byte != 0 && strchr("AaBbCcDdGgIiRrSsTtVvWw?", byte) != NULL;
}

/* C, assembler and Rust (v0 and legacy mangling) names, with suffixes of compilers and linkers. */
static bool is_name_character(uint8_t byte)
{
	return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
	       (byte >= '0' && byte <= '9') || byte == '_' || byte == '.' || byte == '$' ||
	       byte == '@';
}

static bool starts_name(uint8_t byte)
{
	return is_name_character(byte) && !(byte >= '0' && byte <= '9');
}

bool kallsyms_index_matches(struct bytes index, uint32_t *table_size, uint32_t *digits_offset)
{
	if (index.size < 2 * KALLSYMS_TOKENS || load_le16(index.data) != 0)
		return false;
	uint32_t digits = load_le16(index.data + 2 * '0');
	for (unsigned i = 1; i < 10; i++)
		if (load_le16(index.data + 2 * ('0' + i)) != digits + 2 * i)
			return false;
	for (unsigned i = 1; i < KALLSYMS_TOKENS; i++)
		if (load_le16(index.data + 2 * i) <= load_le16(index.data + 2 * i - 2))
			return false;
	*digits_offset = digits;
	*table_size = load_le16(index.data + 2 * (KALLSYMS_TOKENS - 1)) + 1u;
	return true;
}

static void decode_token(struct bytes text, struct kallsyms_token *out)
{
	size_t size = 0;

	while (size < text.size && is_name_character(text.data[size]))
		size++;
	/* '?' is no part of a name but may be a type, on its own or with what follows it. */
	bool question = size == 0 && text.size > 0 && text.data[0] == '?';
	if (question)
		for (size = 1; size < text.size && is_name_character(text.data[size]);)
			size++;
	if (size == 0 || size >= text.size || text.data[size] != 0 || size >= KALLSYMS_TOKEN_LIMIT)
		return;
	memcpy(out->text, text.data, size);
	out->size = (uint8_t)size;
	out->starts_name = is_type(text.data[0]) && (size == 1 || starts_name(text.data[1]));
}

bool kallsyms_tokens_decode(struct bytes table, struct bytes index, struct kallsyms_tokens *out)
{
	memset(out, 0, sizeof(*out));
	for (unsigned i = 0; i < KALLSYMS_TOKENS; i++) {
		uint32_t start = load_le16(index.data + 2 * i);
		uint64_t end =
			i + 1 < KALLSYMS_TOKENS ? load_le16(index.data + 2 * i + 2) : table.size;
		struct bytes text;
		if (end <= start || !bytes_slice(table, start, end - start, &text))
			continue;
		/* A code that no name uses has an empty token. */
		if (text.data[0] == 0 && (text.size == 1 || i + 1 == KALLSYMS_TOKENS)) {
			out->usable++;
			continue;
		}
		/* What follows the last token is padding, and beyond that something else. */
		if (i + 1 < KALLSYMS_TOKENS && memchr(text.data, 0, text.size - 1))
			continue;
		decode_token(text, &out->token[i]);
		if (out->token[i].size)
			out->usable++;
		if (out->token[i].size > out->longest)
			out->longest = out->token[i].size;
	}
	return out->usable >= TOKENS_NEEDED;
}

/* Reads a name's length, at least one token, and makes sure that all of the name is there. */
static bool read_length(struct bytes names, enum kallsyms_lengths lengths, uint64_t *offset,
			uint32_t *length)
{
	uint64_t at = *offset;

	if (at >= names.size)
		return false;
	*length = names.data[at++];
	if (lengths == KALLSYMS_LENGTH_ULEB128 && *length >= 0x80) {
		/* The second byte is the last: it has no bit 7, and is not 0. */
		if (at >= names.size || names.data[at] == 0 || names.data[at] >= 0x80)
			return false;
		*length = (*length & 0x7f) | (uint32_t)names.data[at++] << 7;
	}
	if (*length == 0 || *length > KALLSYMS_NAME_LIMIT || *length > names.size - at)
		return false;
	*offset = at;
	return true;
}

bool kallsyms_skip_names(struct bytes names, const struct kallsyms_tokens *tokens,
			 enum kallsyms_lengths lengths, unsigned count, uint64_t *offset)
{
	uint64_t at = *offset;

	for (unsigned i = 0; i < count; i++) {
		uint32_t length;
		if (!read_length(names, lengths, &at, &length) ||
		    !tokens->token[names.data[at]].starts_name)
			return false;
		at += length;
	}
	*offset = at;
	return true;
}

bool kallsyms_expand_name(struct bytes names, const struct kallsyms_tokens *tokens,
			  enum kallsyms_lengths lengths, uint64_t *offset, char *type, char *out,
			  size_t *out_size)
{
	uint64_t at = *offset;
	uint32_t length;

	if (!read_length(names, lengths, &at, &length))
		return false;
	const struct kallsyms_token *token = &tokens->token[names.data[at]];
	if (!token->starts_name)
		return false;
	*type = (char)token->text[0];
	size_t used = token->size - 1u;
	memcpy(out, token->text + 1, LONGEST_COPY);
	if (used > LONGEST_COPY)
		memcpy(out, token->text + 1, used);

	for (uint32_t i = 1; i < length; i++) {
		token = &tokens->token[names.data[at + i]];
		if (token->size == 0 || token->text[0] == '?' ||
		    used + token->size >= KALLSYMS_NAME_LIMIT)
			return false;
		/* A fixed size is what makes this fast; nearly every token is short. */
		memcpy(out + used, token->text, LONGEST_COPY);
		if (token->size > LONGEST_COPY)
			memcpy(out + used, token->text, token->size);
		used += token->size;
	}
	if (used == 0 || !starts_name((uint8_t)out[0]))
		return false;
	out[used] = '\0';
	*out_size = used;
	*offset = at + length;
	return true;
}

uint64_t kallsyms_address(enum kallsyms_addresses encoding, const uint8_t *entry, uint64_t place,
			  uint64_t base)
{
	if (encoding == KALLSYMS_ABSOLUTE)
		return load_le64(entry);

	uint32_t raw = load_le32(entry);
	uint64_t extended = (uint64_t)(int64_t)(int32_t)raw;
	switch (encoding) {
	case KALLSYMS_RELATIVE: return base + raw;
	case KALLSYMS_RELATIVE_PERCPU: return raw >> 31 ? base - 1 - extended : raw;
	default: return place + extended;
	}
}
