/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is written follows dwarf2json's files where volatility3 depends on it: anonymous members are named
 * unnamed_field_N and marked, integers of one byte are of the kind "char", functions have no more than their kind.
 */
#include "type/isf_names.h"

#include <inttypes.h>

#include "base/error.h"
#include "base/key_table.h"

#define NAME_LIMIT  255        /* of an identifier; the kernel's longest has about 60 */
#define CHAIN_LIMIT 64         /* typedefs of qualifiers of typedefs ... */
#define NEST_LIMIT  16         /* pointers to arrays of pointers ... */
#define DEPTH_LIMIT 32         /* anonymous members in anonymous members */
#define FLAT_LIMIT  (1u << 16) /* members of a type without the anonymous ones around them */

enum {
	INT_SIGNED = 1,
	INT_BOOL = 4,
};

/* How a type is written. */
enum label {
	LABEL_NONE, /* not at all: it is none that is listed, or a typedef that is resolved */
	LABEL_OWN,
	LABEL_SHARED, /* by its own name, which others have, too: these are */
	LABEL_NUMBERED,
	LABEL_UNNAMED,
};

/* What flat[] says of a type whose anonymous members were followed: below these, how many members and 1. */
enum {
	FLAT_UNKNOWN = 0,
	FLAT_BEGUN = UINT32_MAX - 1,
	FLAT_ENDLESS = UINT32_MAX,
};

struct isf_names {
	const struct kioku_types *types;
	uint8_t *labels; /* enum label of each type, by number */
	uint32_t *flat;
	struct key_table bases, aggregates, enumerations;
	bool signs_are_said; /* the flag of an enumeration means something: BTF since v6.0 */
	uint64_t lost;
};

/* What C has on x86-64 and arm64, by the names that GCC gives them in debug information. */
struct c_type {
	const char *name;
	uint64_t size;
	bool is_signed;
};
static const struct c_type c_types[] = {
	{ "char", 1, true },
	{ "signed char", 1, true },
	{ "unsigned char", 1, false },
	{ "short int", 2, true },
	{ "short unsigned int", 2, false },
	{ "int", 4, true },
	{ "unsigned int", 4, false },
	{ "long int", 8, true },
	{ "long unsigned int", 8, false },
	{ "long long int", 8, true },
	{ "long long unsigned int", 8, false },
};
#define C_TYPE_COUNT (sizeof(c_types) / sizeof(*c_types))

/* --- names */

static bool is_name(const char *name, bool spaces)
{
	size_t size = 0;

	for (; name[size]; size++) {
		char c = name[size];
		bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
		bool later = (c >= '0' && c <= '9') || (spaces && c == ' ');
		if (size == NAME_LIMIT || (!letter && !(size > 0 && later)))
			return false;
	}
	return size > 0;
}

bool isf_is_identifier(const char *name)
{
	return is_name(name, false);
}

static struct bytes name_of(const void *user, uint32_t item)
{
	return bytes_of_text(kioku_type_name(user, item));
}

/* Which of two types of a name is the one that is asked for by it; as kioku_types_find() has it. */
static unsigned rank(unsigned kind)
{
	return kind == KIOKU_TYPE_STRUCT ? 0 : kind == KIOKU_TYPE_UNION ? 1 : 2;
}

static void claim(struct isf_names *isf, struct key_table *table, uint32_t id, unsigned kind)
{
	const char *name = kioku_type_name(isf->types, id);
	bool is_typedef = kind == KIOKU_TYPE_TYPEDEF;

	if (!is_name(name, false)) {
		isf->labels[id] = is_typedef ? LABEL_NONE : LABEL_UNNAMED;
		return;
	}
	uint32_t *owner = key_table_at(table, bytes_of_text(name));
	if (*owner) {
		uint32_t before = *owner - 1;
		unsigned other = kioku_type_kind(isf->types, before);
		if (rank(other) <= rank(kind)) {
			isf->labels[id] = is_typedef ? LABEL_NONE : LABEL_NUMBERED;
			if (!is_typedef)
				isf->labels[before] = LABEL_SHARED;
			return;
		}
		isf->labels[before] = other == KIOKU_TYPE_TYPEDEF ? LABEL_NONE : LABEL_NUMBERED;
	}
	*owner = id + 1;
	isf->labels[id] = LABEL_OWN;
}

/* Size and sign decide what a base type is; one of a few bits is read by its bit field. */
static bool same_base(const struct btf_record *a, const struct btf_record *b)
{
	unsigned first = a->kind == KIOKU_TYPE_INT ? btf_int(a).encoding : 0;
	unsigned second = b->kind == KIOKU_TYPE_INT ? btf_int(b).encoding : 0;

	return a->kind == b->kind && a->size == b->size &&
	       (first & (INT_SIGNED | INT_BOOL)) == (second & (INT_SIGNED | INT_BOOL));
}

static void claim_base(struct isf_names *isf, uint32_t id, const struct btf_record *record)
{
	const char *name = types_string(isf->types, record->name);
	struct btf_record other;

	isf->labels[id] = LABEL_UNNAMED;
	if (!is_name(name, true) || strcmp(name, "void") == 0 || strcmp(name, "pointer") == 0)
		return;
	uint32_t *owner = key_table_at(&isf->bases, bytes_of_text(name));
	if (!*owner) {
		*owner = id + 1;
		isf->labels[id] = LABEL_OWN;
	} else if (types_record(isf->types, *owner - 1, &other)) {
		/* The one that is there serves for both: it is not written twice. */
		isf->labels[id] = same_base(record, &other) ? LABEL_SHARED : LABEL_NUMBERED;
	}
}

static bool is_aggregate(unsigned kind)
{
	return kind == KIOKU_TYPE_STRUCT || kind == KIOKU_TYPE_UNION;
}

static void claim_type(struct isf_names *isf, uint32_t id)
{
	struct btf_record record, target;

	if (!types_record(isf->types, id, &record))
		return;
	switch (record.kind) {
	case KIOKU_TYPE_INT:
	case KIOKU_TYPE_FLOAT: claim_base(isf, id, &record); break;
	case KIOKU_TYPE_ENUM:
	case KIOKU_TYPE_ENUM64:
		isf->signs_are_said |= record.flag;
		claim(isf, &isf->enumerations, id, record.kind);
		break;
	case KIOKU_TYPE_TYPEDEF:
		if (!types_record(isf->types, record.type, &target) || !is_aggregate(target.kind))
			break;
		/* fallthrough */
	case KIOKU_TYPE_STRUCT:
	case KIOKU_TYPE_UNION: claim(isf, &isf->aggregates, id, record.kind); break;
	default: break;
	}
}

enum kioku_status isf_names_open(const struct kioku_types *types, struct isf_names **out,
				 struct kioku_error *error)
{
	AUTO_ISF_TYPES struct isf_names *isf = calloc(1, sizeof(*isf));
	size_t counts[3] = { C_TYPE_COUNT };

	if (!isf)
		return error_no_memory(error);
	isf->types = types;
	uint32_t count = kioku_types_count(types);
	for (uint32_t id = 1; id <= count; id++) {
		enum kioku_type_kind kind = kioku_type_kind(types, id);
		counts[0] += kind == KIOKU_TYPE_INT || kind == KIOKU_TYPE_FLOAT;
		counts[1] += is_aggregate(kind) || kind == KIOKU_TYPE_TYPEDEF;
		counts[2] += kind == KIOKU_TYPE_ENUM || kind == KIOKU_TYPE_ENUM64;
	}
	isf->labels = calloc((size_t)count + 1, sizeof(*isf->labels));
	isf->flat = calloc((size_t)count + 1, sizeof(*isf->flat));
	if (!isf->labels || !isf->flat ||
	    !key_table_begin(&isf->bases, counts[0], name_of, types) ||
	    !key_table_begin(&isf->aggregates, counts[1], name_of, types) ||
	    !key_table_begin(&isf->enumerations, counts[2], name_of, types))
		return error_no_memory(error);
	for (uint32_t id = 1; id <= count; id++)
		claim_type(isf, id);
	*out = TAKE(isf);
	return KIOKU_OK;
}

void isf_names_close(struct isf_names *isf)
{
	if (!isf)
		return;
	key_table_release(&isf->bases);
	key_table_release(&isf->aggregates);
	key_table_release(&isf->enumerations);
	free(isf->labels);
	free(isf->flat);
	free(isf);
}

uint64_t isf_names_lost(const struct isf_names *isf)
{
	return isf->lost;
}

/* The name that a type is written under. */
struct label_text {
	char text[NAME_LIMIT + 16];
};
static const char *label(const struct isf_names *isf, uint32_t id, struct label_text *room)
{
	const char *name = kioku_type_name(isf->types, id);

	switch (isf->labels[id]) {
	case LABEL_OWN:
	case LABEL_SHARED: return name;
	case LABEL_NUMBERED:
		snprintf(room->text, sizeof(room->text), "%s.%" PRIu32, name, id);
		return room->text;
	default:
		snprintf(room->text, sizeof(room->text), "unnamed.%" PRIu32, id);
		return room->text;
	}
}

/* --- references */

static void put_named(struct json_writer *json, const char *key, const char *kind, const char *name)
{
	json_begin_object(json, key);
	json_put_text(json, "kind", kind);
	json_put_text(json, "name", name);
	json_end_object(json);
}

static const char *aggregate_kind(unsigned kind)
{
	return kind == KIOKU_TYPE_UNION ? "union" : "struct";
}

/* The only definition of what BTF has a forward declaration of; 0: none, or more than one. */
static uint32_t definition(struct isf_names *isf, const struct btf_record *forward)
{
	const char *name = types_string(isf->types, forward->name);
	unsigned kind = forward->flag ? KIOKU_TYPE_UNION : KIOKU_TYPE_STRUCT;

	if (!is_name(name, false))
		return 0;
	uint32_t owner = key_table_find(&isf->aggregates, bytes_of_text(name));
	return owner && kioku_type_kind(isf->types, owner - 1) == kind &&
			       isf->labels[owner - 1] == LABEL_OWN
		       ? owner - 1
		       : 0;
}

static void put_reference(struct isf_names *isf, struct json_writer *json, const char *key,
			  uint32_t id, unsigned depth)
{
	struct label_text room;
	struct btf_record record;

	for (unsigned i = 0;
	     i < CHAIN_LIMIT && depth < NEST_LIMIT && types_record(isf->types, id, &record); i++) {
		switch (record.kind) {
		case KIOKU_TYPE_TYPEDEF:
			if (isf->labels[id] != LABEL_NONE) {
				put_named(json, key,
					  aggregate_kind(kioku_type_kind(isf->types, record.type)),
					  label(isf, id, &room));
				return;
			}
			break;
		case KIOKU_TYPE_VOLATILE:
		case KIOKU_TYPE_CONST:
		case KIOKU_TYPE_RESTRICT:
		case KIOKU_TYPE_TYPE_TAG:
		case KIOKU_TYPE_VARIABLE: break;
		case KIOKU_TYPE_FORWARD: record.type = definition(isf, &record); break;
		case KIOKU_TYPE_STRUCT:
		case KIOKU_TYPE_UNION:
			put_named(json, key, aggregate_kind(record.kind), label(isf, id, &room));
			return;
		case KIOKU_TYPE_ENUM:
		case KIOKU_TYPE_ENUM64: put_named(json, key, "enum", label(isf, id, &room)); return;
		case KIOKU_TYPE_INT:
		case KIOKU_TYPE_FLOAT: put_named(json, key, "base", label(isf, id, &room)); return;
		case KIOKU_TYPE_FUNCTION:
		case KIOKU_TYPE_FUNCTION_PROTOTYPE:
			json_begin_object(json, key);
			json_put_text(json, "kind", "function");
			json_end_object(json);
			return;
		case KIOKU_TYPE_POINTER:
			json_begin_object(json, key);
			json_put_text(json, "kind", "pointer");
			put_reference(isf, json, "subtype", record.type, depth + 1);
			json_end_object(json);
			return;
		case KIOKU_TYPE_ARRAY:
			json_begin_object(json, key);
			json_put_text(json, "kind", "array");
			json_put_unsigned(json, "count", btf_array(&record).count);
			put_reference(isf, json, "subtype", btf_array(&record).type, depth + 1);
			json_end_object(json);
			return;
		default: record.type = 0; break;
		}
		id = record.type;
	}
	put_named(json, key, "base", "void");
}

void isf_names_put_reference(struct isf_names *isf, struct json_writer *json, const char *key,
			     uint32_t id)
{
	put_reference(isf, json, key, id, 0);
}

/* --- base types */

static void put_base(struct json_writer *json, const char *name, const char *kind, uint64_t size,
		     bool is_signed)
{
	json_begin_object(json, name);
	json_put_unsigned(json, "size", size);
	json_put_flag(json, "signed", is_signed);
	json_put_text(json, "kind", kind);
	json_put_text(json, "endian", "little");
	json_end_object(json);
}

static void write_base(struct isf_names *isf, struct json_writer *json, uint32_t id,
		       const struct btf_record *record)
{
	unsigned encoding = record->kind == KIOKU_TYPE_INT ? btf_int(record).encoding : INT_SIGNED;
	const char *kind = record->kind == KIOKU_TYPE_FLOAT             ? "float"
			   : (encoding & INT_BOOL) && record->size == 1 ? "bool"
			   : record->size == 1                          ? "char"
									: "int";
	struct label_text room;

	put_base(json, label(isf, id, &room), kind, record->size, encoding & INT_SIGNED);
}

/* Whether a name is C's own, and this kernel's type of that name is no other. */
static bool is_c_type(struct isf_names *isf, const struct c_type *type)
{
	uint32_t owner = key_table_find(&isf->bases, bytes_of_text(type->name));
	struct btf_record record;

	return !owner || (types_record(isf->types, owner - 1, &record) &&
			  record.kind == KIOKU_TYPE_INT && record.size == type->size &&
			  (btf_int(&record).encoding & INT_SIGNED) == type->is_signed);
}

uint64_t isf_names_base_size(struct isf_names *isf, const char *name)
{
	for (size_t i = 0; i < C_TYPE_COUNT; i++)
		if (strcmp(c_types[i].name, name) == 0 && is_c_type(isf, &c_types[i]))
			return c_types[i].size;
	return 0;
}

static void write_base_types(struct isf_names *isf, struct json_writer *json)
{
	uint32_t count = kioku_types_count(isf->types);
	struct btf_record record;

	json_begin_object(json, "base_types");
	put_base(json, "void", "void", 0, false);
	put_base(json, "pointer", "int", 8, false);
	for (uint32_t id = 1; id <= count; id++)
		if (isf->labels[id] != LABEL_SHARED && isf->labels[id] != LABEL_NONE &&
		    types_record(isf->types, id, &record) &&
		    (record.kind == KIOKU_TYPE_INT || record.kind == KIOKU_TYPE_FLOAT))
			write_base(isf, json, id, &record);
	/* Of what a kernel does not use, plugins may. */
	for (size_t i = 0; i < C_TYPE_COUNT; i++)
		if (!key_table_find(&isf->bases, bytes_of_text(c_types[i].name)))
			put_base(json, c_types[i].name, c_types[i].size == 1 ? "char" : "int",
				 c_types[i].size, c_types[i].is_signed);
	json_end_object(json);
}

/* --- structs and unions */

/* The struct or union that an anonymous member is of; 0 if it is of none. */
static uint32_t anonymous_type(const struct isf_names *isf, const struct kioku_member *member)
{
	uint32_t id = types_resolve(isf->types, member->type);

	return !*member->name && is_aggregate(kioku_type_kind(isf->types, id)) ? id : 0;
}

/*
 * How many members a type has, those of its anonymous members included, and 1; FLAT_ENDLESS where there is no end.
 * Readers unfold them, so that what contains itself must not be written.
 */
static uint32_t flatten(struct isf_names *isf, uint32_t id, unsigned depth)
{
	struct btf_record record;
	uint64_t members = 1;

	if (isf->flat[id] != FLAT_UNKNOWN)
		return isf->flat[id] == FLAT_BEGUN ? (uint32_t)FLAT_ENDLESS : isf->flat[id];
	if (depth == DEPTH_LIMIT || !types_record(isf->types, id, &record))
		return FLAT_ENDLESS;
	isf->flat[id] = FLAT_BEGUN;
	for (uint32_t i = 0; i < record.length && members <= FLAT_LIMIT; i++) {
		struct kioku_member member = types_member(isf->types, &record, i);
		uint32_t inner = anonymous_type(isf, &member);
		members += inner ? flatten(isf, inner, depth + 1) : 1;
	}
	isf->flat[id] = members > FLAT_LIMIT ? (uint32_t)FLAT_ENDLESS : (uint32_t)members;
	return isf->flat[id];
}

/* Where a bit field is read: a whole integer, at an offset in bytes, and the bits inside it. */
struct bit_unit {
	uint64_t offset, position;
};

/* Its type's own place is taken if it is all there, else (in packed structs) the byte that it begins in. */
static bool bit_unit(const struct isf_names *isf, const struct kioku_member *member, uint64_t size,
		     struct bit_unit *out)
{
	struct btf_record record;

	if (!types_record(isf->types, types_resolve(isf->types, member->type), &record) ||
	    (record.kind != KIOKU_TYPE_INT && record.kind != KIOKU_TYPE_ENUM &&
	     record.kind != KIOKU_TYPE_ENUM64) ||
	    record.size == 0 || member->bit_size > 8ull * record.size)
		return false;
	uint64_t bits = 8ull * record.size;
	out->offset = member->bit_offset / bits * record.size;
	out->position = member->bit_offset % bits;
	if (out->position + member->bit_size <= bits && out->offset + record.size <= size)
		return true;
	out->offset = member->bit_offset / 8;
	out->position = member->bit_offset % 8;
	return out->position + member->bit_size <= bits;
}

static void write_bit_field(struct isf_names *isf, struct json_writer *json,
			    const struct kioku_member *member, const struct bit_unit *unit)
{
	json_begin_object(json, member->name);
	json_begin_object(json, "type");
	json_put_text(json, "kind", "bitfield");
	json_put_unsigned(json, "bit_position", unit->position);
	json_put_unsigned(json, "bit_length", member->bit_size);
	put_reference(isf, json, "type", member->type, 0);
	json_end_object(json);
	json_put_unsigned(json, "offset", unit->offset);
	json_end_object(json);
}

static void write_member(struct isf_names *isf, struct json_writer *json,
			 const struct kioku_member *member, uint64_t size, uint32_t *anonymous)
{
	uint32_t inner = anonymous_type(isf, member);
	const char *name = member->name;
	struct bit_unit unit;
	char number[32];

	if (member->bit_size && is_name(name, false) && bit_unit(isf, member, size, &unit)) {
		write_bit_field(isf, json, member, &unit);
		return;
	}
	if (inner) {
		snprintf(number, sizeof(number), "unnamed_field_%" PRIx32, (*anonymous)++);
		name = number;
	}
	if (member->bit_size || member->bit_offset % 8 || !is_name(name, false) ||
	    (inner && flatten(isf, inner, 0) == FLAT_ENDLESS)) {
		isf->lost++;
		return;
	}
	json_begin_object(json, name);
	put_reference(isf, json, "type", member->type, 0);
	json_put_unsigned(json, "offset", member->bit_offset / 8);
	if (inner)
		json_put_flag(json, "anonymous", true);
	json_end_object(json);
}

/* record is what is written: of a typedef, the struct or union that it names. */
static void write_aggregate(struct isf_names *isf, struct json_writer *json, uint32_t id,
			    const struct btf_record *record)
{
	struct label_text room;
	uint32_t anonymous = 0;

	json_begin_object(json, label(isf, id, &room));
	json_put_text(json, "kind", aggregate_kind(record->kind));
	json_put_unsigned(json, "size", record->size);
	json_begin_object(json, "fields");
	for (uint32_t i = 0; i < record->length; i++) {
		struct kioku_member member = types_member(isf->types, record, i);
		write_member(isf, json, &member, record->size, &anonymous);
	}
	json_end_object(json);
	json_end_object(json);
}

static void write_user_types(struct isf_names *isf, struct json_writer *json)
{
	uint32_t count = kioku_types_count(isf->types);
	struct btf_record record;

	json_begin_object(json, "user_types");
	for (uint32_t id = 1; id <= count; id++) {
		if (isf->labels[id] == LABEL_NONE || !types_record(isf->types, id, &record) ||
		    (record.kind == KIOKU_TYPE_TYPEDEF &&
		     !types_record(isf->types, record.type, &record)))
			continue;
		if (is_aggregate(record.kind))
			write_aggregate(isf, json, id, &record);
	}
	json_end_object(json);
}

/* --- enumerations */

/* A base type of that size and sign, as C has it. */
static const char *enumeration_base(struct isf_names *isf, uint64_t size, bool is_signed)
{
	/* "char" is not even C's by its sign. */
	for (size_t i = 1; i < C_TYPE_COUNT; i++)
		if (c_types[i].size == size && c_types[i].is_signed == is_signed &&
		    is_c_type(isf, &c_types[i]))
			return c_types[i].name;
	return "void";
}

/* Before v6.0 nothing but its values says whether an enumeration has a sign; then one that may be negative is. */
static bool enumeration_is_signed(const struct isf_names *isf, const struct btf_record *record)
{
	if (record->flag || isf->signs_are_said || record->kind == KIOKU_TYPE_ENUM64)
		return record->flag;
	for (uint32_t i = 0; i < record->length; i++)
		if ((int64_t)btf_value(record, i).value < 0)
			return true;
	return false;
}

static void write_enumeration(struct isf_names *isf, struct json_writer *json, uint32_t id,
			      const struct btf_record *record)
{
	bool is_signed = enumeration_is_signed(isf, record);
	struct label_text room;

	json_begin_object(json, label(isf, id, &room));
	json_put_unsigned(json, "size", record->size);
	json_put_text(json, "base", enumeration_base(isf, record->size, is_signed));
	json_begin_object(json, "constants");
	for (uint32_t i = 0; i < record->length; i++) {
		struct btf_value value = btf_value(record, i);
		const char *name = types_string(isf->types, value.name);
		if (!is_name(name, false))
			isf->lost++;
		else if (is_signed)
			json_put_signed(json, name, (int64_t)value.value);
		else
			json_put_unsigned(json, name,
					  record->kind == KIOKU_TYPE_ENUM ? (uint32_t)value.value
									  : value.value);
	}
	json_end_object(json);
	json_end_object(json);
}

static void write_enumerations(struct isf_names *isf, struct json_writer *json)
{
	uint32_t count = kioku_types_count(isf->types);
	struct btf_record record;

	json_begin_object(json, "enums");
	for (uint32_t id = 1; id <= count; id++)
		if (isf->labels[id] != LABEL_NONE && types_record(isf->types, id, &record) &&
		    (record.kind == KIOKU_TYPE_ENUM || record.kind == KIOKU_TYPE_ENUM64))
			write_enumeration(isf, json, id, &record);
	json_end_object(json);
}

void isf_names_write(struct isf_names *isf, struct json_writer *json)
{
	write_base_types(isf, json);
	write_user_types(isf, json);
	write_enumerations(isf, json);
}
