/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is written follows dwarf2json's files where volatility3 depends on it: anonymous members are named
 * unnamed_field_N and marked, integers of one byte are of the kind "char", functions have no more than their kind.
 */
#include <inttypes.h>

#include "type/isf_labels.h"

#define CHAIN_LIMIT 64         /* typedefs of qualifiers of typedefs ... */
#define NEST_LIMIT  16         /* pointers to arrays of pointers ... */
#define DEPTH_LIMIT 32         /* anonymous members in anonymous members */
#define FLAT_LIMIT  (1u << 16) /* members of a type without the anonymous ones around them */

/* What flat[] says of a type whose anonymous members were followed: below these, how many members and 1. */
enum {
	FLAT_UNKNOWN = 0,
	FLAT_BEGUN = UINT32_MAX - 1,
	FLAT_ENDLESS = UINT32_MAX,
};

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

static void put_reference(struct isf_names *isf, struct json_writer *json, const char *key,
			  uint32_t id, unsigned depth)
{
	struct isf_label_text room;
	struct btf_record record;

	for (unsigned i = 0;
	     i < CHAIN_LIMIT && depth < NEST_LIMIT && types_record(isf->types, id, &record); i++) {
		switch (record.kind) {
		case KIOKU_TYPE_TYPEDEF:
			if (isf->labels[id] != LABEL_NONE) {
				put_named(json, key,
					  aggregate_kind(kioku_type_kind(isf->types, record.type)),
					  isf_label(isf, id, &room));
				return;
			}
			break;
		case KIOKU_TYPE_VOLATILE:
		case KIOKU_TYPE_CONST:
		case KIOKU_TYPE_RESTRICT:
		case KIOKU_TYPE_TYPE_TAG:
		case KIOKU_TYPE_VARIABLE: break;
		case KIOKU_TYPE_FORWARD: record.type = isf_definition(isf, &record); break;
		case KIOKU_TYPE_STRUCT:
		case KIOKU_TYPE_UNION:
			put_named(json, key, aggregate_kind(record.kind),
				  isf_label(isf, id, &room));
			return;
		case KIOKU_TYPE_ENUM:
		case KIOKU_TYPE_ENUM64:
			put_named(json, key, "enum", isf_label(isf, id, &room));
			return;
		case KIOKU_TYPE_INT:
		case KIOKU_TYPE_FLOAT:
			put_named(json, key, "base", isf_label(isf, id, &room));
			return;
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
	struct isf_label_text room;

	put_base(json, isf_label(isf, id, &room), kind, record->size, encoding & INT_SIGNED);
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
	for (size_t i = 0; i < ISF_C_TYPES; i++)
		if (!key_table_find(&isf->bases, bytes_of_text(isf_c_types[i].name)))
			put_base(json, isf_c_types[i].name,
				 isf_c_types[i].size == 1 ? "char" : "int", isf_c_types[i].size,
				 isf_c_types[i].is_signed);
	json_end_object(json);
}

/* --- structs and unions */

/* The struct or union that an anonymous member is of; 0 if it is of none. */
static uint32_t anonymous_type(const struct isf_names *isf, const struct kioku_member *member)
{
	uint32_t id = types_resolve(isf->types, member->type);

	return !*member->name && isf_is_aggregate(kioku_type_kind(isf->types, id)) ? id : 0;
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

	if (member->bit_size && isf_is_name(name, false) && bit_unit(isf, member, size, &unit)) {
		write_bit_field(isf, json, member, &unit);
		return;
	}
	if (inner) {
		snprintf(number, sizeof(number), "unnamed_field_%" PRIx32, (*anonymous)++);
		name = number;
	}
	if (member->bit_size || member->bit_offset % 8 || !isf_is_name(name, false) ||
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
	struct isf_label_text room;
	uint32_t anonymous = 0;

	json_begin_object(json, isf_label(isf, id, &room));
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
		if (isf_is_aggregate(record.kind))
			write_aggregate(isf, json, id, &record);
	}
	json_end_object(json);
}

/* --- enumerations */

/* A base type of that size and sign, as C has it. */
static const char *enumeration_base(struct isf_names *isf, uint64_t size, bool is_signed)
{
	/* "char" is not even C's by its sign. */
	for (size_t i = 1; i < ISF_C_TYPES; i++)
		if (isf_c_types[i].size == size && isf_c_types[i].is_signed == is_signed &&
		    isf_is_c_type(isf, &isf_c_types[i]))
			return isf_c_types[i].name;
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
	struct isf_label_text room;

	json_begin_object(json, isf_label(isf, id, &room));
	json_put_unsigned(json, "size", record->size);
	json_put_text(json, "base", enumeration_base(isf, record->size, is_signed));
	json_begin_object(json, "constants");
	for (uint32_t i = 0; i < record->length; i++) {
		struct btf_value value = btf_value(record, i);
		const char *name = types_string(isf->types, value.name);
		if (!isf_is_name(name, false))
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
