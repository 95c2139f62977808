/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What one definition is, and what it refers to, as a type. */
#include "base/error.h"
#include "base/growing.h"
#include "type/dwarf_reader.h"

#define CHAIN_LIMIT 64 /* pointers to pointers, arrays of arrays ... */
#define SIZE_LIMIT  (1u << 31)
#define ARRAY_LIMIT 8 /* dimensions */

static uint32_t type_of(struct dwarf_reader *reader, Dwarf_Die *die, unsigned depth);

/* What DW_AT_type refers to; void without one. */
static uint32_t target_of(struct dwarf_reader *reader, Dwarf_Die *die, unsigned depth)
{
	Dwarf_Die target;

	if (!dwarf_hasattr(die, DW_AT_type))
		return 0;
	if (!die_reference(die, DW_AT_type, &target)) {
		dwarf_reader_flaw(reader, die, "it refers to a type that there is not");
		return 0;
	}
	return type_of(reader, &target, depth + 1);
}

static uint32_t base_type(struct dwarf_reader *reader, Dwarf_Die *die)
{
	Dwarf_Word size = 0, encoding = 0;
	const char *name = dwarf_diename(die);

	die_number(die, DW_AT_byte_size, &size);
	die_number(die, DW_AT_encoding, &encoding);
	if (size == 0 || size > 32) {
		dwarf_reader_flaw(reader, die, "a base type of no size, or a large one");
		return 0;
	}
	if (encoding == DW_ATE_float || encoding == DW_ATE_complex_float || size > 16)
		return type_builder_float(reader->builder, name, (uint32_t)size);
	/* Pahole does not mark char as such, either. */
	bool is_signed = encoding == DW_ATE_signed || encoding == DW_ATE_signed_char;
	return type_builder_int(reader->builder, name, (uint32_t)size,
				is_signed                    ? BTF_INT_SIGNED
				: encoding == DW_ATE_boolean ? BTF_INT_BOOL
							     : 0);
}

/* Elements of a dimension; 0: a flexible array, or one of none, whose upper bound GCC may say to be -1. */
static uint64_t dimension(Dwarf_Die *range)
{
	Dwarf_Attribute attribute;
	Dwarf_Word bound;

	if (die_number(range, DW_AT_count, &bound))
		return bound;
	/* Forms of a fixed size have no sign: 255 takes one byte. */
	if (!dwarf_attr(range, DW_AT_upper_bound, &attribute) ||
	    dwarf_formudata(&attribute, &bound) != 0 || bound == UINT32_MAX)
		return 0;
	return bound + 1;
}

static uint32_t array_type(struct dwarf_reader *reader, Dwarf_Die *die, unsigned depth)
{
	uint64_t counts[ARRAY_LIMIT];
	size_t dimensions = 0;
	Dwarf_Die child;

	if (die_first_child(reader, die, &child)) {
		do {
			if (dwarf_tag(&child) != DW_TAG_subrange_type)
				continue;
			if (dimensions == ARRAY_LIMIT) {
				dwarf_reader_flaw(reader, die, "an array of too many dimensions");
				return 0;
			}
			counts[dimensions++] = dimension(&child);
		} while (die_next_sibling(reader, &child));
	}
	uint32_t id = target_of(reader, die, depth);
	if (dimensions == 0)
		counts[dimensions++] = 0;
	while (dimensions-- > 0) {
		if (counts[dimensions] > UINT32_MAX) {
			dwarf_reader_flaw(reader, die, "an array of too many elements");
			return 0;
		}
		id = type_builder_array(reader->builder, id, (uint32_t)counts[dimensions]);
	}
	return id;
}

/* What is built later, from the queue, and known by its place in the file. */
static uint32_t later(struct dwarf_reader *reader, Dwarf_Die *die, int tag)
{
	struct dwarf_item *item = dwarf_item_at(reader, die, tag);

	if (item && !item->id)
		item->id = type_builder_reserve(reader->builder);
	return item ? item->id : 0;
}

static uint32_t named(struct dwarf_reader *reader, Dwarf_Die *die, int tag,
		      const struct die_facts *facts)
{
	bool declared = facts->is_declaration || (dwarf_is_aggregate(tag) && !facts->has_size);
	struct dwarf_item *item = declared ? dwarf_item_named(reader, tag, facts->name)
					   : dwarf_item_defined(reader, die, tag, facts);

	if (!item)
		return declared ? type_builder_forward(reader->builder, facts->name,
						       tag == DW_TAG_union_type)
				: 0;
	if (!item->id)
		item->id = type_builder_reserve(reader->builder);
	return item->id;
}

static uint32_t type_of(struct dwarf_reader *reader, Dwarf_Die *die, unsigned depth)
{
	struct type_builder *builder = reader->builder;
	int tag = dwarf_tag(die);

	if (depth == CHAIN_LIMIT || !dwarf_reader_spend(reader)) {
		dwarf_reader_flaw(reader, die, "a chain of types without an end");
		return 0;
	}
	if (dwarf_is_aggregate(tag) || tag == DW_TAG_typedef) {
		struct die_facts facts = die_facts(die);
		return facts.name ? named(reader, die, tag, &facts) : later(reader, die, tag);
	}
	switch (tag) {
	case DW_TAG_base_type: return base_type(reader, die);
	case DW_TAG_array_type: return array_type(reader, die, depth);
	case DW_TAG_subroutine_type: return later(reader, die, tag);
	case DW_TAG_pointer_type:
		return type_builder_pointer(builder, target_of(reader, die, depth));
	case DW_TAG_const_type:
		return type_builder_qualifier(builder, KIOKU_TYPE_CONST,
					      target_of(reader, die, depth));
	case DW_TAG_volatile_type:
		return type_builder_qualifier(builder, KIOKU_TYPE_VOLATILE,
					      target_of(reader, die, depth));
	case DW_TAG_restrict_type:
		return type_builder_qualifier(builder, KIOKU_TYPE_RESTRICT,
					      target_of(reader, die, depth));
	case DW_TAG_atomic_type: return target_of(reader, die, depth);
	case DW_TAG_unspecified_type: return 0;
	}
	dwarf_reader_flaw(reader, die, "a type of a kind that C does not have");
	return 0;
}

/* --- structs and unions */

struct member {
	const char *name;
	uint32_t type;
	uint64_t bit_offset;
	uint32_t bit_size;
};

struct members {
	struct member *list;
	size_t count, capacity;
	bool has_bit_fields;
};

/* Bytes from the start of a struct: a constant, or an expression that adds one. */
static bool location(Dwarf_Die *die, uint64_t *out)
{
	Dwarf_Attribute attribute;
	Dwarf_Word constant;
	Dwarf_Op *expression;
	size_t length;

	*out = 0;
	if (!dwarf_attr(die, DW_AT_data_member_location, &attribute))
		return true; /* of a union */
	if (dwarf_formudata(&attribute, &constant) == 0) {
		*out = constant;
		return true;
	}
	if (dwarf_getlocation(&attribute, &expression, &length) != 0 || length != 1 ||
	    (expression->atom != DW_OP_plus_uconst && expression->atom != DW_OP_constu))
		return false;
	*out = expression->number;
	return true;
}

/* Bytes of the type that a bit field was declared with. */
static bool storage_size(Dwarf_Die *die, Dwarf_Word *out)
{
	Dwarf_Die type, bare;

	if (die_number(die, DW_AT_byte_size, out))
		return true;
	return die_reference(die, DW_AT_type, &type) && dwarf_peel_type(&type, &bare) == 0 &&
	       die_number(&bare, DW_AT_byte_size, out);
}

/*
 * Bits from the start of a struct. DW_AT_bit_offset, up to DWARF 3, counts from the most significant bit of the
 * storage; DW_AT_data_bit_offset is what is looked for.
 */
static bool bit_location(Dwarf_Die *die, uint32_t bit_size, uint64_t *out)
{
	Dwarf_Word bits, storage;

	if (die_number(die, DW_AT_data_bit_offset, out))
		return true;
	if (!location(die, out) || *out > SIZE_LIMIT)
		return false;
	*out *= 8;
	if (!die_number(die, DW_AT_bit_offset, &bits))
		return true;
	if (!storage_size(die, &storage) || storage > 16 || bits + bit_size > storage * 8)
		return false;
	*out += storage * 8 - bits - bit_size;
	return true;
}

static bool read_member(struct dwarf_reader *reader, Dwarf_Die *die, struct member *out)
{
	Dwarf_Word bit_size = 0;

	if (die_number(die, DW_AT_bit_size, &bit_size) && bit_size > 128)
		return false;
	*out = (struct member){ .name = dwarf_diename(die), .bit_size = (uint32_t)bit_size };
	if (!bit_location(die, out->bit_size, &out->bit_offset))
		return false;
	out->type = target_of(reader, die, 0);
	return true;
}

static void collect_members(struct dwarf_reader *reader, Dwarf_Die *die, struct members *out)
{
	Dwarf_Die child;

	if (!die_first_child(reader, die, &child))
		return;
	do {
		if (dwarf_tag(&child) != DW_TAG_member)
			continue;
		if (!GROW(out->list, out->count, out->capacity)) {
			reader->status = KIOKU_ERROR_NO_MEMORY;
			return;
		}
		if (!read_member(reader, &child, &out->list[out->count]))
			dwarf_reader_flaw(reader, &child, "it cannot be told where a member is");
		else
			out->has_bit_fields |= out->list[out->count++].bit_size != 0;
	} while (die_next_sibling(reader, &child));
}

static void release_members(struct members *members)
{
	free(members->list);
}

static void build_struct(struct dwarf_reader *reader, const struct dwarf_item *item)
{
	CLEANUP(release_members) struct members members = { 0 };
	enum kioku_type_kind kind =
		item->tag == DW_TAG_union_type ? KIOKU_TYPE_UNION : KIOKU_TYPE_STRUCT;
	Dwarf_Die die = item->die;
	uint32_t id = item->id; /* items move while members are collected */
	struct die_facts facts = die_facts(&die);

	collect_members(reader, &die, &members);
	type_builder_define(reader->builder, id);
	if (!facts.has_size) { /* without a name, and declared only */
		type_builder_forward(reader->builder, facts.name, kind == KIOKU_TYPE_UNION);
		return;
	}
	if (facts.size > SIZE_LIMIT) {
		dwarf_reader_flaw(reader, &die, "a struct of more than 2 GiB");
		facts.size = 0;
	}
	type_builder_struct(reader->builder, kind, facts.name, (uint32_t)facts.size);
	for (size_t i = 0; i < members.count; i++) {
		const struct member *member = &members.list[i];
		if (type_builder_holds(member->bit_offset, member->bit_size,
				       members.has_bit_fields))
			type_builder_member(reader->builder, member->name, member->type,
					    member->bit_offset, member->bit_size);
		else
			dwarf_reader_flaw(reader, &die, "a member that lies too far away");
	}
}

/* --- enumerations, typedefs, functions */

struct constant {
	const char *name;
	uint64_t value;
};

struct constants {
	struct constant *list;
	size_t count, capacity;
	bool is_signed; /* a value is negative */
};

static void release_constants(struct constants *constants)
{
	free(constants->list);
}

static bool read_constant(Dwarf_Die *die, struct constants *all, struct constant *out)
{
	Dwarf_Attribute attribute;
	Dwarf_Sword value;
	Dwarf_Word raw;

	if (!dwarf_attr(die, DW_AT_const_value, &attribute))
		return false;
	out->name = dwarf_diename(die);
	/* Forms of a fixed size have no sign. */
	unsigned form = dwarf_whatform(&attribute);
	if ((form == DW_FORM_sdata || form == DW_FORM_implicit_const) &&
	    dwarf_formsdata(&attribute, &value) == 0) {
		out->value = (uint64_t)value;
		all->is_signed |= value < 0;
		return true;
	}
	if (dwarf_formudata(&attribute, &raw) != 0)
		return false;
	out->value = raw;
	return true;
}

static void build_enum(struct dwarf_reader *reader, const struct dwarf_item *item)
{
	CLEANUP(release_constants) struct constants constants = { 0 };
	Dwarf_Die die = item->die, child;
	struct die_facts facts = die_facts(&die);

	if (die_first_child(reader, &die, &child)) {
		do {
			if (dwarf_tag(&child) != DW_TAG_enumerator)
				continue;
			if (!GROW(constants.list, constants.count, constants.capacity)) {
				reader->status = KIOKU_ERROR_NO_MEMORY;
				return;
			}
			if (read_constant(&child, &constants, &constants.list[constants.count]))
				constants.count++;
			else
				dwarf_reader_flaw(reader, &child, "a constant without a value");
		} while (die_next_sibling(reader, &child));
	}
	type_builder_define(reader->builder, item->id);
	uint32_t size = facts.size == 0 || facts.size > 8 ? 4 : (uint32_t)facts.size;
	type_builder_enum(reader->builder, facts.name, size, constants.is_signed);
	for (size_t i = 0; i < constants.count; i++)
		type_builder_constant(reader->builder, constants.list[i].name,
				      constants.list[i].value);
}

static void build_typedef(struct dwarf_reader *reader, const struct dwarf_item *item)
{
	Dwarf_Die die = item->die;
	const char *name = item->name;
	uint32_t id = item->id;
	uint32_t target = target_of(reader, &die, 0);

	type_builder_define(reader->builder, id);
	type_builder_typedef(reader->builder, name, target);
}

static void build_prototype(struct dwarf_reader *reader, const struct dwarf_item *item)
{
	CLEANUP(release_members) struct members parameters = { 0 };
	Dwarf_Die die = item->die, child;
	uint32_t id = item->id;
	uint32_t result = target_of(reader, &die, 0);

	if (die_first_child(reader, &die, &child)) {
		do {
			int tag = dwarf_tag(&child);
			if (tag != DW_TAG_formal_parameter && tag != DW_TAG_unspecified_parameters)
				continue;
			if (!GROW(parameters.list, parameters.count, parameters.capacity)) {
				reader->status = KIOKU_ERROR_NO_MEMORY;
				return;
			}
			parameters.list[parameters.count++] = (struct member){
				.name = dwarf_diename(&child),
				.type = tag == DW_TAG_formal_parameter
						? target_of(reader, &child, 0)
						: 0,
			};
		} while (die_next_sibling(reader, &child));
	}
	type_builder_define(reader->builder, id);
	type_builder_function_prototype(reader->builder, result);
	for (size_t i = 0; i < parameters.count; i++)
		type_builder_parameter(reader->builder, parameters.list[i].name,
				       parameters.list[i].type);
}

void dwarf_build_item(struct dwarf_reader *reader, size_t index)
{
	const struct dwarf_item item = reader->items[index];

	switch (item.tag) {
	case DW_TAG_enumeration_type: build_enum(reader, &item); break;
	case DW_TAG_typedef: build_typedef(reader, &item); break;
	case DW_TAG_subroutine_type: build_prototype(reader, &item); break;
	default: build_struct(reader, &item);
	}
}
