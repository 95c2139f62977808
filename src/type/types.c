/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>

#include "base/error.h"
#include "base/name_index.h"
#include "type/types.h"

#define CHAIN_LIMIT  64 /* typedefs of qualifiers of typedefs ... */
#define POINTER_SIZE 8  /* x86-64 and arm64 */

/* A block is the BTF, then the indexes, then this: so that the BTF can grow into a block. */
struct type_block_footer {
	uint64_t btf_size;
	uint64_t offsets; /* of each type's record in the types section; u32 each, from type 1 */
	uint64_t heads;   /* u32 each, and */
	uint64_t next;    /* u32 each, for every type: see base/name_index.h */
	uint32_t count;
	uint32_t head_count;
	uint32_t flaw_kind;   /* of the record after the last one, if it is not known */
	uint32_t flaw_status; /* enum btf_status that ended the types */
	char magic[8];        /* the digit changes with the layout or the hash */
};

_Static_assert(sizeof(struct type_block_footer) == 56, "the block has no hidden padding");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "type blocks are little-endian");

static const char block_magic[8] = { 'k', 'i', 'o', 'k', 'u', 't', 'y', '1' };

struct kioku_types {
	struct bytes block;
	void *owned; /* the block, if it is ours to free */
	struct bytes btf;
	struct btf_sections sections;
	uint32_t count, head_count;
	const uint8_t *offsets, *heads, *next;
	char flaw[96];
	const struct kioku_types *base; /* that types and strings are counted on from; NULL: none */
	uint32_t first_id;              /* of its own */
};

static enum kioku_status open_block(struct bytes blob, const struct kioku_types *base,
				    struct kioku_types **out, struct kioku_error *error)
{
	struct kioku_types types = { .block = blob, .base = base, .first_id = 1 };
	struct type_block_footer footer;
	struct bytes offsets, heads, next;

	if (blob.size < sizeof(footer))
		return error_set(error, KIOKU_ERROR_CORRUPT, "the type block is cut off");
	memcpy(&footer, blob.data + blob.size - sizeof(footer), sizeof(footer));
	if (memcmp(footer.magic, block_magic, sizeof(block_magic)) != 0)
		return error_set(error, KIOKU_ERROR_CORRUPT, "this is no type block");
	if (!bytes_slice(blob, 0, footer.btf_size, &types.btf) ||
	    !(base ? btf_parse_split : btf_parse)(types.btf, &types.sections) ||
	    !bytes_slice(blob, footer.offsets, 4ull * footer.count, &offsets) ||
	    !bytes_slice(blob, footer.heads, 4ull * footer.head_count, &heads) ||
	    !bytes_slice(blob, footer.next, 4ull * footer.count, &next) || footer.head_count == 0 ||
	    (footer.head_count & (footer.head_count - 1)) != 0)
		return error_set(error, KIOKU_ERROR_CORRUPT, "the type block is damaged");
	if (base)
		types.first_id = base->count + 1;
	types.count = footer.count;
	types.head_count = footer.head_count;
	types.offsets = offsets.data;
	types.heads = heads.data;
	types.next = next.data;
	if (footer.flaw_status == BTF_UNKNOWN_KIND)
		snprintf(types.flaw, sizeof(types.flaw),
			 "type %u and what follows: unknown kind %u", footer.count + 1,
			 footer.flaw_kind);
	else if (footer.flaw_status != BTF_END)
		snprintf(types.flaw, sizeof(types.flaw), "type %u is cut off", footer.count + 1);

	*out = malloc(sizeof(types));
	if (!*out)
		return error_no_memory(error);
	**out = types;
	return KIOKU_OK;
}

enum kioku_status types_from_blob(struct bytes blob, struct kioku_types **out,
				  struct kioku_error *error)
{
	return open_block(blob, NULL, out, error);
}

static bool is_indexed(unsigned kind)
{
	return kind == KIOKU_TYPE_STRUCT || kind == KIOKU_TYPE_UNION || kind == KIOKU_TYPE_ENUM ||
	       kind == KIOKU_TYPE_ENUM64 || kind == KIOKU_TYPE_TYPEDEF ||
	       kind == KIOKU_TYPE_FORWARD;
}

/* Counts the types and the names worth an index; what ended them goes to the footer. */
static void count_types(const struct btf_sections *sections, struct type_block_footer *footer,
			uint32_t *named)
{
	struct btf_record record = { 0 };
	uint64_t offset = 0;
	enum btf_status status;

	*named = 0;
	while ((status = btf_record_at(sections, &offset, &record)) == BTF_OK) {
		footer->count++;
		*named += is_indexed(record.kind) && record.name != 0;
	}
	footer->flaw_status = status;
	footer->flaw_kind = record.kind;
}

/* A string of split BTF may be one of its base. */
static const char *string_of(const struct kioku_types *base, const struct btf_sections *sections,
			     uint32_t offset)
{
	uint32_t first = base ? (uint32_t)base->sections.strings.size : 0;

	return offset < first ? btf_string(&base->sections, offset)
			      : btf_string(sections, offset - first);
}

static void fill_indexes(const struct btf_sections *sections, const struct kioku_types *base,
			 uint8_t *block, const struct type_block_footer *footer)
{
	uint32_t *offsets = (uint32_t *)(block + footer->offsets);
	uint32_t *heads = (uint32_t *)(block + footer->heads);
	uint32_t *next = (uint32_t *)(block + footer->next);
	struct btf_record record;
	uint64_t offset = 0;

	for (uint32_t i = 0; i < footer->count; i++) {
		offsets[i] = (uint32_t)offset;
		btf_record_at(sections, &offset, &record);
	}
	memset(heads, 0, 4ull * footer->head_count);
	for (uint32_t i = footer->count; i-- > 0;) {
		offset = offsets[i];
		next[i] = 0;
		if (btf_record_at(sections, &offset, &record) != BTF_OK || !is_indexed(record.kind))
			continue;
		const char *name = string_of(base, sections, record.name);
		if (*name)
			name_index_add(heads, footer->head_count, next,
				       name_hash(name, strlen(name)), i);
	}
}

static enum kioku_status index_btf(const struct kioku_types *base, void *data, size_t size,
				   struct kioku_types **out, struct kioku_error *error)
{
	AUTO_FREE uint8_t *block = data;
	struct type_block_footer footer = { .btf_size = size };
	bool (*parse)(struct bytes, struct btf_sections *) = base ? btf_parse_split : btf_parse;
	struct btf_sections sections;
	uint32_t named;

	if (!parse((struct bytes){ block, size }, &sections))
		return error_set(error, KIOKU_ERROR_CORRUPT, "there is no BTF header");
	count_types(&sections, &footer, &named);
	if (footer.count == 0)
		return error_set(error, KIOKU_ERROR_CORRUPT, "there is no type in the BTF");
	memcpy(footer.magic, block_magic, sizeof(block_magic));
	footer.head_count = name_index_heads(named);
	footer.offsets = (size + 7) & ~(size_t)7;
	footer.heads = footer.offsets + 4ull * footer.count;
	footer.next = footer.heads + 4ull * footer.head_count;
	uint64_t end = footer.next + 4ull * footer.count;

	uint8_t *grown = realloc(block, end + sizeof(footer));
	if (!grown)
		return error_no_memory(error);
	block = grown;
	memset(block + size, 0, footer.offsets - size);
	memcpy(block + end, &footer, sizeof(footer));
	parse((struct bytes){ block, size }, &sections);
	fill_indexes(&sections, base, block, &footer);
	TRY(open_block((struct bytes){ block, end + sizeof(footer) }, base, out, error));
	(*out)->owned = TAKE(block);
	return KIOKU_OK;
}

enum kioku_status types_from_btf(void *data, size_t size, struct kioku_types **out,
				 struct kioku_error *error)
{
	return index_btf(NULL, data, size, out, error);
}

enum kioku_status types_from_split_btf(const struct kioku_types *base, void *data, size_t size,
				       struct kioku_types **out, struct kioku_error *error)
{
	AUTO_FREE void *owned = data;

	if (base->base || base->flaw[0])
		return error_set(error, KIOKU_ERROR_CORRUPT,
				 "the types that these are counted on from are not all there");
	return index_btf(base, TAKE(owned), size, out, error);
}

void types_close(struct kioku_types *types)
{
	if (!types)
		return;
	free(types->owned);
	free(types);
}

const char *types_flaw(const struct kioku_types *types)
{
	return types->flaw[0] ? types->flaw : NULL;
}

struct bytes types_btf(const struct kioku_types *types)
{
	return types->btf;
}

struct bytes types_blob(const struct kioku_types *types)
{
	return types->block;
}

bool types_record(const struct kioku_types *types, uint32_t id, struct btf_record *out)
{
	if (types->base && id < types->first_id)
		return types_record(types->base, id, out);
	if (id == 0 || id - types->first_id >= types->count)
		return false;
	uint64_t offset = load_le32(types->offsets + 4ull * (id - types->first_id));
	return btf_record_at(&types->sections, &offset, out) == BTF_OK;
}

const char *types_string(const struct kioku_types *types, uint32_t offset)
{
	return string_of(types->base, &types->sections, offset);
}

uint32_t kioku_types_count(const struct kioku_types *types)
{
	return types->first_id - 1 + types->count;
}

enum kioku_type_kind kioku_type_kind(const struct kioku_types *types, uint32_t id)
{
	struct btf_record record;

	return types_record(types, id, &record) ? (enum kioku_type_kind)record.kind
						: KIOKU_TYPE_VOID;
}

const char *kioku_type_name(const struct kioku_types *types, uint32_t id)
{
	struct btf_record record;

	return types_record(types, id, &record) ? types_string(types, record.name) : "";
}

bool types_next_named(const struct kioku_types *types, const char *name, struct type_cursor *cursor,
		      uint32_t *id)
{
	uint32_t hash = name_hash(name, strlen(name));
	uint32_t index;

	while (!cursor->in_base && name_index_next(types->heads, types->head_count, types->next,
						   types->count, hash, &cursor->state, &index)) {
		*id = types->first_id + index;
		if (strcmp(kioku_type_name(types, *id), name) == 0)
			return true;
	}
	if (!types->base)
		return false;
	if (!cursor->in_base)
		cursor->state = 0;
	cursor->in_base = true;
	struct type_cursor inner = { .state = cursor->state };
	bool found = types_next_named(types->base, name, &inner, id);
	cursor->state = inner.state;
	return found;
}

enum { RANK_STRUCT, RANK_UNION, RANK_ENUM, RANK_TYPEDEF, RANK_FORWARD, RANK_NONE };

/* In which order types of one name are preferred. */
static unsigned rank(const struct btf_record *record, const char *keyword)
{
	switch (record->kind) {
	case KIOKU_TYPE_STRUCT: return !keyword || *keyword == 's' ? RANK_STRUCT : RANK_NONE;
	case KIOKU_TYPE_UNION: return !keyword || *keyword == 'u' ? RANK_UNION : RANK_NONE;
	case KIOKU_TYPE_ENUM:
	case KIOKU_TYPE_ENUM64: return !keyword || *keyword == 'e' ? RANK_ENUM : RANK_NONE;
	case KIOKU_TYPE_TYPEDEF: return !keyword ? RANK_TYPEDEF : RANK_NONE;
	case KIOKU_TYPE_FORWARD:
		return !keyword || *keyword == (record->flag ? 'u' : 's') ? RANK_FORWARD
									  : RANK_NONE;
	default: return RANK_NONE;
	}
}

enum kioku_status kioku_types_find(const struct kioku_types *types, const char *name, uint32_t *out,
				   struct kioku_error *error)
{
	static const char *const keywords[] = { "struct ", "union ", "enum " };
	struct type_cursor cursor = { 0 };
	const char *keyword = NULL;
	const char *bare = name;
	unsigned best = RANK_NONE;
	uint32_t id;

	for (size_t i = 0; i < sizeof(keywords) / sizeof(*keywords); i++) {
		if (strncmp(name, keywords[i], strlen(keywords[i])) == 0) {
			keyword = keywords[i];
			bare = name + strlen(keyword);
		}
	}
	while (types_next_named(types, bare, &cursor, &id)) {
		struct btf_record record;
		if (!types_record(types, id, &record) || rank(&record, keyword) >= best)
			continue;
		best = rank(&record, keyword);
		*out = id;
	}
	if (best == RANK_NONE)
		return error_set(error, KIOKU_ERROR_NOT_FOUND, "there is no type %s", name);
	return KIOKU_OK;
}

uint32_t types_resolve(const struct kioku_types *types, uint32_t id)
{
	struct btf_record record;

	for (unsigned i = 0; i < CHAIN_LIMIT && types_record(types, id, &record); i++) {
		switch (record.kind) {
		case KIOKU_TYPE_TYPEDEF:
		case KIOKU_TYPE_VOLATILE:
		case KIOKU_TYPE_CONST:
		case KIOKU_TYPE_RESTRICT:
		case KIOKU_TYPE_TYPE_TAG: id = record.type; break;
		default: return id;
		}
	}
	return 0;
}

uint64_t kioku_type_size(const struct kioku_types *types, uint32_t id)
{
	struct btf_record record;
	uint64_t count = 1;

	/* Arrays of arrays multiply; each step takes one type off, so that a cycle ends too. */
	for (unsigned i = 0; i < CHAIN_LIMIT; i++) {
		if (!types_record(types, types_resolve(types, id), &record))
			return 0;
		switch (record.kind) {
		case KIOKU_TYPE_ARRAY:
			id = btf_array(&record).type;
			if (__builtin_mul_overflow(count, btf_array(&record).count, &count))
				return 0;
			continue;
		case KIOKU_TYPE_VARIABLE: id = record.type; continue;
		case KIOKU_TYPE_POINTER: record.size = POINTER_SIZE; break;
		case KIOKU_TYPE_INT:
		case KIOKU_TYPE_STRUCT:
		case KIOKU_TYPE_UNION:
		case KIOKU_TYPE_ENUM:
		case KIOKU_TYPE_ENUM64:
		case KIOKU_TYPE_DATA_SECTION:
		case KIOKU_TYPE_FLOAT: break;
		default: return 0;
		}
		return __builtin_mul_overflow(count, (uint64_t)record.size, &count) ? 0 : count;
	}
	return 0;
}

bool types_find_place(const struct kioku_types *types, const char *type, const char *path,
		      struct type_place *out)
{
	struct kioku_member member;
	uint32_t id;

	if (kioku_types_find(types, type, &id, NULL) != KIOKU_OK ||
	    kioku_type_member(types, id, path, &member, NULL) != KIOKU_OK)
		return false;
	*out = (struct type_place){ member.bit_offset / 8, kioku_type_size(types, member.type) };
	return true;
}

uint64_t types_size_of(const struct kioku_types *types, const char *name)
{
	uint32_t id;

	return kioku_types_find(types, name, &id, NULL) == KIOKU_OK ? kioku_type_size(types, id)
								    : 0;
}

/* The first constant of an enumeration that has a name or, where name is NULL, a value. */
static bool find_constant(const struct kioku_types *types, const char *enumeration,
			  const char *name, uint64_t value, struct btf_value *out)
{
	struct type_cursor cursor = { 0 };
	struct btf_record record;
	uint32_t id;

	while (types_next_named(types, enumeration, &cursor, &id)) {
		if (!types_record(types, id, &record) ||
		    (record.kind != KIOKU_TYPE_ENUM && record.kind != KIOKU_TYPE_ENUM64))
			continue;
		for (uint32_t i = 0; i < record.length; i++) {
			*out = btf_value(&record, i);
			if (name ? strcmp(types_string(types, out->name), name) == 0
				 : out->value == value)
				return true;
		}
	}
	return false;
}

bool types_enum_value(const struct kioku_types *types, const char *enumeration, const char *name,
		      uint64_t *out)
{
	struct btf_value found;

	if (!find_constant(types, enumeration, name, 0, &found))
		return false;
	*out = found.value;
	return true;
}

const char *types_enum_name(const struct kioku_types *types, const char *enumeration,
			    uint64_t value)
{
	struct btf_value found;

	return find_constant(types, enumeration, NULL, value, &found)
		       ? types_string(types, found.name)
		       : NULL;
}
