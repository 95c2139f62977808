/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Two passes. The survey goes over what is at the top of every unit and keeps the first of each definition. Then
 * these, and what they refer to and has no name, are built one after the other from a queue, so that nothing but
 * chains of pointers and the like is followed by recursion. libdw has bounds for the bytes; what is bounded here
 * is the time that lies can cost: siblings come later in the file than what they follow, chains are short,
 * and all work is counted.
 */
#include <dwarf.h>
#include <elfutils/libdwfl.h>
#include <gelf.h>
#include <stdio.h>
#include <unistd.h>

#include "base/error.h"
#include "base/growing.h"
#include "base/name_index.h"
#include "type/dwarf_types.h"
#include "type/type_builder.h"

#define CHAIN_LIMIT 64         /* pointers to pointers, arrays of arrays ... */
#define ENTRY_LIMIT (1u << 28) /* looked at in all; Debian's 6.1 has 4 million at the top */
#define QUEUE_LIMIT (1u << 24)
#define SIZE_LIMIT  (1u << 31)
#define ARRAY_LIMIT 8 /* dimensions */

/* What an entry says of itself, in one pass over its attributes. */
struct facts {
	const char *name; /* NULL: none */
	Dwarf_Word size, line;
	bool has_size, is_declaration;
};

/* A definition or another type of which every unit need not have its own. */
struct item {
	Dwarf_Die die;
	const char *name; /* as the file has it; NULL: known by its place alone */
	uint32_t hash;
	uint32_t next; /* of its hash, from 1 on; 0: the last */
	uint64_t size, line;
	const char *first; /* the name of its first member; "" if it has none */
	uint32_t users;    /* units that have it */
	uint32_t id;
	int tag;
};

struct reader {
	struct type_builder *builder;
	struct item *items;
	size_t count, capacity;
	uint32_t *heads; /* items by hash, from 1 on */
	uint32_t head_count;
	uint64_t budget;
	struct dwarf_summary *summary;
	enum kioku_status status;
};

static void note_flaw(struct reader *reader, Dwarf_Die *die, const char *what)
{
	if (!reader->summary->flaw[0])
		snprintf(reader->summary->flaw, sizeof(reader->summary->flaw),
			 "DWARF at 0x%llx: %s", (unsigned long long)dwarf_dieoffset(die), what);
}

static bool spend(struct reader *reader)
{
	if (reader->status == KIOKU_OK && reader->budget-- == 0)
		reader->status = KIOKU_ERROR_LIMIT;
	return reader->status == KIOKU_OK;
}

static bool first_child(struct reader *reader, Dwarf_Die *die, Dwarf_Die *out)
{
	return spend(reader) && dwarf_child(die, out) == 0;
}

/* A sibling that does not come later in the file is a lie, and would be one without end. */
static bool next_sibling(struct reader *reader, Dwarf_Die *die)
{
	const void *before = die->addr;

	return spend(reader) && dwarf_siblingof(die, die) == 0 && die->addr > before;
}

/* --- attributes */

static int take_fact(Dwarf_Attribute *attribute, void *user)
{
	struct facts *facts = user;

	switch (dwarf_whatattr(attribute)) {
	case DW_AT_name: facts->name = dwarf_formstring(attribute); break;
	case DW_AT_byte_size:
		facts->has_size = dwarf_formudata(attribute, &facts->size) == 0;
		break;
	case DW_AT_decl_line: dwarf_formudata(attribute, &facts->line); break;
	case DW_AT_declaration: facts->is_declaration = true; break;
	}
	return DWARF_CB_OK;
}

static struct facts facts_of(Dwarf_Die *die)
{
	struct facts facts = { 0 };

	dwarf_getattrs(die, take_fact, &facts, 0);
	if (facts.name && !*facts.name)
		facts.name = NULL;
	return facts;
}

static bool number(Dwarf_Die *die, unsigned which, Dwarf_Word *out)
{
	Dwarf_Attribute attribute;

	return dwarf_attr(die, which, &attribute) && dwarf_formudata(&attribute, out) == 0;
}

/* Where a type that an attribute names is; a signature leads on to a type unit. */
static bool reference(Dwarf_Die *die, unsigned which, Dwarf_Die *out)
{
	Dwarf_Attribute attribute;

	if (!dwarf_attr(die, which, &attribute) || !dwarf_formref_die(&attribute, out))
		return false;
	if (dwarf_attr(out, DW_AT_signature, &attribute)) {
		Dwarf_Die meant;
		if (dwarf_formref_die(&attribute, &meant))
			*out = meant;
	}
	return true;
}

static const char *name_of_first(struct reader *reader, Dwarf_Die *die)
{
	Dwarf_Die child;
	const char *name = first_child(reader, die, &child) ? dwarf_diename(&child) : NULL;

	return name ? name : "";
}

/* --- items */

static bool is_aggregate(int tag)
{
	return tag == DW_TAG_structure_type || tag == DW_TAG_class_type ||
	       tag == DW_TAG_union_type || tag == DW_TAG_enumeration_type;
}

static uint32_t hash_address(const void *address)
{
	return name_hash((const char *)&address, sizeof(address));
}

static bool grow_heads(struct reader *reader)
{
	uint32_t count = reader->head_count ? reader->head_count * 2 : 1u << 12;

	if (reader->count < reader->head_count)
		return true;
	uint32_t *heads = calloc(count, sizeof(*heads));
	if (!heads) {
		reader->status = KIOKU_ERROR_NO_MEMORY;
		return false;
	}
	free(reader->heads);
	reader->heads = heads;
	reader->head_count = count;
	for (size_t i = reader->count; i-- > 0;) {
		uint32_t *head = &heads[reader->items[i].hash & (count - 1)];
		reader->items[i].next = *head;
		*head = (uint32_t)i + 1;
	}
	return true;
}

static struct item *add_item(struct reader *reader, struct item item)
{
	if (reader->status != KIOKU_OK || !grow_heads(reader))
		return NULL;
	if (reader->count == QUEUE_LIMIT) {
		reader->status = KIOKU_ERROR_LIMIT;
		return NULL;
	}
	if (!GROW(reader->items, reader->count, reader->capacity)) {
		reader->status = KIOKU_ERROR_NO_MEMORY;
		return NULL;
	}
	uint32_t *head = &reader->heads[item.hash & (reader->head_count - 1)];
	item.next = *head;
	reader->items[reader->count] = item;
	*head = (uint32_t)++reader->count;
	return &reader->items[reader->count - 1];
}

static struct item *first_of(struct reader *reader, uint32_t hash)
{
	uint32_t at = reader->head_count ? reader->heads[hash & (reader->head_count - 1)] : 0;

	return at ? &reader->items[at - 1] : NULL;
}

static struct item *next_of(struct reader *reader, const struct item *item)
{
	return item->next ? &reader->items[item->next - 1] : NULL;
}

/* The item of a definition that has a name; NULL: there was none like it so far. */
static struct item *find_definition(struct reader *reader, const struct item *like)
{
	struct item *item = first_of(reader, like->hash);

	for (; item; item = next_of(reader, item))
		if (item->hash == like->hash && item->tag == like->tag && item->name &&
		    item->size == like->size && item->line == like->line &&
		    (item->name == like->name || strcmp(item->name, like->name) == 0) &&
		    (item->first == like->first || strcmp(item->first, like->first) == 0))
			return item;
	return NULL;
}

/* Of the definitions of a name the one that most units have; NULL: there is none. */
static struct item *find_named(struct reader *reader, int tag, const char *name)
{
	uint32_t hash = name_hash(name, strlen(name));
	struct item *item = first_of(reader, hash), *best = NULL;

	for (; item; item = next_of(reader, item))
		if (item->hash == hash && item->tag == tag && item->name &&
		    strcmp(item->name, name) == 0 && (!best || item->users > best->users))
			best = item;
	return best;
}

static struct item *find_place(struct reader *reader, const Dwarf_Die *die, uint32_t hash)
{
	struct item *item = first_of(reader, hash);

	for (; item; item = next_of(reader, item))
		if (!item->name && item->die.addr == die->addr)
			return item;
	return NULL;
}

/* The item of an aggregate with a name and a layout; NULL: no memory. */
static struct item *definition(struct reader *reader, Dwarf_Die *die, int tag,
			       const struct facts *facts)
{
	struct item item = { .die = *die,
			     .name = facts->name,
			     .hash = name_hash(facts->name, strlen(facts->name)),
			     .size = facts->size,
			     .line = facts->line,
			     .first = name_of_first(reader, die),
			     .tag = tag };
	struct item *found = find_definition(reader, &item);

	return found ? found : add_item(reader, item);
}

/* --- the survey */

static bool is_c(Dwarf_Die *unit)
{
	switch (dwarf_srclang(unit)) {
	case DW_LANG_C:
	case DW_LANG_C89:
	case DW_LANG_C99:
	case DW_LANG_C11: return true;
	case -1: /* a type unit need not say */ return true;
	default: return false;
	}
}

static void survey_unit(struct reader *reader, Dwarf_Die *unit)
{
	Dwarf_Die die;

	if (!is_c(unit) || !first_child(reader, unit, &die))
		return;
	do {
		int tag = dwarf_tag(&die);
		if (!is_aggregate(tag) && tag != DW_TAG_typedef)
			continue;
		struct facts facts = facts_of(&die);
		if (!facts.name || facts.is_declaration || (is_aggregate(tag) && !facts.has_size))
			continue;
		struct item *item = definition(reader, &die, tag, &facts);
		if (item)
			item->users++;
	} while (next_sibling(reader, &die));
}

static void survey(struct reader *reader, Dwarf *dwarf)
{
	Dwarf_CU *unit = NULL;
	Dwarf_Die die, sub;
	Dwarf_Half version;
	uint8_t kind;

	while (spend(reader) &&
	       dwarf_get_units(dwarf, unit, &unit, &version, &kind, &die, &sub) == 0) {
		reader->summary->units++;
		if (kind == DW_UT_skeleton)
			note_flaw(reader, &die, "its types are in another file (.dwo)");
		survey_unit(reader, &die);
	}
}

/* --- building */

static uint32_t type_of(struct reader *reader, Dwarf_Die *die, unsigned depth);

/* What DW_AT_type refers to; void without one. */
static uint32_t target_of(struct reader *reader, Dwarf_Die *die, unsigned depth)
{
	Dwarf_Die target;

	if (!dwarf_hasattr(die, DW_AT_type))
		return 0;
	if (!reference(die, DW_AT_type, &target)) {
		note_flaw(reader, die, "it refers to a type that there is not");
		return 0;
	}
	return type_of(reader, &target, depth + 1);
}

static uint32_t base_type(struct reader *reader, Dwarf_Die *die)
{
	Dwarf_Word size = 0, encoding = 0;
	const char *name = dwarf_diename(die);

	number(die, DW_AT_byte_size, &size);
	number(die, DW_AT_encoding, &encoding);
	if (size == 0 || size > 32) {
		note_flaw(reader, die, "a base type of no size, or a large one");
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

	if (number(range, DW_AT_count, &bound))
		return bound;
	/* Forms of a fixed size have no sign: 255 takes one byte. */
	if (!dwarf_attr(range, DW_AT_upper_bound, &attribute) ||
	    dwarf_formudata(&attribute, &bound) != 0 || bound == UINT32_MAX)
		return 0;
	return bound + 1;
}

static uint32_t array_type(struct reader *reader, Dwarf_Die *die, unsigned depth)
{
	uint64_t counts[ARRAY_LIMIT];
	size_t dimensions = 0;
	Dwarf_Die child;

	if (first_child(reader, die, &child)) {
		do {
			if (dwarf_tag(&child) != DW_TAG_subrange_type)
				continue;
			if (dimensions == ARRAY_LIMIT) {
				note_flaw(reader, die, "an array of too many dimensions");
				return 0;
			}
			counts[dimensions++] = dimension(&child);
		} while (next_sibling(reader, &child));
	}
	uint32_t id = target_of(reader, die, depth);
	if (dimensions == 0)
		counts[dimensions++] = 0;
	while (dimensions-- > 0) {
		if (counts[dimensions] > UINT32_MAX) {
			note_flaw(reader, die, "an array of too many elements");
			return 0;
		}
		id = type_builder_array(reader->builder, id, (uint32_t)counts[dimensions]);
	}
	return id;
}

/* What is built later, from the queue, and known by its place in the file. */
static uint32_t later(struct reader *reader, Dwarf_Die *die, int tag)
{
	uint32_t hash = hash_address(die->addr);
	struct item *item = find_place(reader, die, hash);

	if (!item)
		item = add_item(reader, (struct item){ .die = *die, .hash = hash, .tag = tag });
	if (item && !item->id)
		item->id = type_builder_reserve(reader->builder);
	return item ? item->id : 0;
}

static uint32_t named(struct reader *reader, Dwarf_Die *die, int tag, const struct facts *facts)
{
	bool declared = facts->is_declaration || (is_aggregate(tag) && !facts->has_size);
	struct item *item = declared ? find_named(reader, tag, facts->name)
				     : definition(reader, die, tag, facts);

	if (!item)
		return declared ? type_builder_forward(reader->builder, facts->name,
						       tag == DW_TAG_union_type)
				: 0;
	if (!item->id)
		item->id = type_builder_reserve(reader->builder);
	return item->id;
}

static uint32_t type_of(struct reader *reader, Dwarf_Die *die, unsigned depth)
{
	struct type_builder *builder = reader->builder;
	int tag = dwarf_tag(die);

	if (depth == CHAIN_LIMIT || !spend(reader)) {
		note_flaw(reader, die, "a chain of types without an end");
		return 0;
	}
	if (is_aggregate(tag) || tag == DW_TAG_typedef) {
		struct facts facts = facts_of(die);
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
	note_flaw(reader, die, "a type of a kind that C does not have");
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

	if (number(die, DW_AT_byte_size, out))
		return true;
	return reference(die, DW_AT_type, &type) && dwarf_peel_type(&type, &bare) == 0 &&
	       number(&bare, DW_AT_byte_size, out);
}

/*
 * Bits from the start of a struct. DW_AT_bit_offset, up to DWARF 3, counts from the most significant bit of the
 * storage; DW_AT_data_bit_offset is what is looked for.
 */
static bool bit_location(Dwarf_Die *die, uint32_t bit_size, uint64_t *out)
{
	Dwarf_Word bits, storage;

	if (number(die, DW_AT_data_bit_offset, out))
		return true;
	if (!location(die, out) || *out > SIZE_LIMIT)
		return false;
	*out *= 8;
	if (!number(die, DW_AT_bit_offset, &bits))
		return true;
	if (!storage_size(die, &storage) || storage > 16 || bits + bit_size > storage * 8)
		return false;
	*out += storage * 8 - bits - bit_size;
	return true;
}

static bool read_member(struct reader *reader, Dwarf_Die *die, struct member *out)
{
	Dwarf_Word bit_size = 0;

	if (number(die, DW_AT_bit_size, &bit_size) && bit_size > 128)
		return false;
	*out = (struct member){ .name = dwarf_diename(die), .bit_size = (uint32_t)bit_size };
	if (!bit_location(die, out->bit_size, &out->bit_offset))
		return false;
	out->type = target_of(reader, die, 0);
	return true;
}

static void collect_members(struct reader *reader, Dwarf_Die *die, struct members *out)
{
	Dwarf_Die child;

	if (!first_child(reader, die, &child))
		return;
	do {
		if (dwarf_tag(&child) != DW_TAG_member)
			continue;
		if (!GROW(out->list, out->count, out->capacity)) {
			reader->status = KIOKU_ERROR_NO_MEMORY;
			return;
		}
		if (!read_member(reader, &child, &out->list[out->count]))
			note_flaw(reader, &child, "it cannot be told where a member is");
		else
			out->has_bit_fields |= out->list[out->count++].bit_size != 0;
	} while (next_sibling(reader, &child));
}

static void release_members(struct members *members)
{
	free(members->list);
}

static void build_struct(struct reader *reader, const struct item *item)
{
	CLEANUP(release_members) struct members members = { 0 };
	enum kioku_type_kind kind =
		item->tag == DW_TAG_union_type ? KIOKU_TYPE_UNION : KIOKU_TYPE_STRUCT;
	Dwarf_Die die = item->die;
	uint32_t id = item->id; /* items move while members are collected */
	struct facts facts = facts_of(&die);

	collect_members(reader, &die, &members);
	type_builder_define(reader->builder, id);
	if (!facts.has_size) { /* without a name, and declared only */
		type_builder_forward(reader->builder, facts.name, kind == KIOKU_TYPE_UNION);
		return;
	}
	if (facts.size > SIZE_LIMIT) {
		note_flaw(reader, &die, "a struct of more than 2 GiB");
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
			note_flaw(reader, &die, "a member that lies too far away");
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

static void build_enum(struct reader *reader, const struct item *item)
{
	CLEANUP(release_constants) struct constants constants = { 0 };
	Dwarf_Die die = item->die, child;
	struct facts facts = facts_of(&die);

	if (first_child(reader, &die, &child)) {
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
				note_flaw(reader, &child, "a constant without a value");
		} while (next_sibling(reader, &child));
	}
	type_builder_define(reader->builder, item->id);
	uint32_t size = facts.size == 0 || facts.size > 8 ? 4 : (uint32_t)facts.size;
	type_builder_enum(reader->builder, facts.name, size, constants.is_signed);
	for (size_t i = 0; i < constants.count; i++)
		type_builder_constant(reader->builder, constants.list[i].name,
				      constants.list[i].value);
}

static void build_typedef(struct reader *reader, const struct item *item)
{
	Dwarf_Die die = item->die;
	const char *name = item->name;
	uint32_t id = item->id;
	uint32_t target = target_of(reader, &die, 0);

	type_builder_define(reader->builder, id);
	type_builder_typedef(reader->builder, name, target);
}

static void build_prototype(struct reader *reader, const struct item *item)
{
	CLEANUP(release_members) struct members parameters = { 0 };
	Dwarf_Die die = item->die, child;
	uint32_t id = item->id;
	uint32_t result = target_of(reader, &die, 0);

	if (first_child(reader, &die, &child)) {
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
		} while (next_sibling(reader, &child));
	}
	type_builder_define(reader->builder, id);
	type_builder_function_prototype(reader->builder, result);
	for (size_t i = 0; i < parameters.count; i++)
		type_builder_parameter(reader->builder, parameters.list[i].name,
				       parameters.list[i].type);
}

static void build_item(struct reader *reader, size_t index)
{
	const struct item item = reader->items[index];

	switch (item.tag) {
	case DW_TAG_enumeration_type: build_enum(reader, &item); break;
	case DW_TAG_typedef: build_typedef(reader, &item); break;
	case DW_TAG_subroutine_type: build_prototype(reader, &item); break;
	default: build_struct(reader, &item);
	}
}

/* Numbers for what the survey found, so that of one name the definition that most units have comes first. */
static void number_items(struct reader *reader)
{
	size_t surveyed = reader->count;

	for (size_t i = 0; i < surveyed; i++) {
		struct item *item = &reader->items[i];
		struct item *best = find_named(reader, item->tag, item->name);
		if (!best->id)
			best->id = type_builder_reserve(reader->builder);
		if (!item->id)
			item->id = type_builder_reserve(reader->builder);
	}
}

static void release_reader(struct reader *reader)
{
	type_builder_close(reader->builder);
	free(reader->items);
	free(reader->heads);
}

static enum kioku_status read_types(Dwarf *dwarf, struct kioku_types **out,
				    struct dwarf_summary *summary, struct kioku_error *error)
{
	CLEANUP(release_reader)
	struct reader reader = { .builder = type_builder_new(),
				 .budget = ENTRY_LIMIT,
				 .summary = summary };

	if (!reader.builder)
		return error_no_memory(error);
	survey(&reader, dwarf);
	/* What dwz moved to a file that several share. */
	Dwarf *shared = dwarf_getalt(dwarf);
	if (shared)
		survey(&reader, shared);
	number_items(&reader);
	for (size_t i = 0; i < reader.count && reader.status == KIOKU_OK; i++)
		build_item(&reader, i);
	if (reader.status != KIOKU_OK)
		return error_set(error, reader.status, "cannot read its DWARF: %s",
				 kioku_status_name(reader.status));
	if (reader.count == 0)
		return error_set(error, KIOKU_ERROR_NOT_FOUND,
				 "it has no DWARF that says of types");
	return type_builder_finish(reader.builder, out, error);
}

/* --- files */

/* Debug information is where the caller says, and nowhere else: nothing is searched or fetched. */
static int find_nothing(Dwfl_Module *module, void **user, const char *name, Dwarf_Addr base,
			const char *file, const char *link, GElf_Word crc, char **found)
{
	return -1;
}

static void end_dwfl(Dwfl **dwfl)
{
	dwfl_end(*dwfl);
}

/* A module's file: what its debug information refers to has to be relocated first. */
static enum kioku_status read_relocatable(int descriptor, struct kioku_types **out,
					  struct dwarf_summary *summary, struct kioku_error *error)
{
	static const Dwfl_Callbacks callbacks = { .find_debuginfo = find_nothing,
						  .section_address = dwfl_offline_section_address };
	CLEANUP(end_dwfl) Dwfl *dwfl = dwfl_begin(&callbacks);
	int own = dup(descriptor); /* which it closes, if it takes it */
	Dwarf_Addr bias;

	if (!dwfl || own < 0) {
		if (own >= 0)
			close(own);
		return error_no_memory(error);
	}
	Dwfl_Module *module = dwfl_report_offline(dwfl, "types", "types", own);
	if (!module) {
		close(own);
		return error_set(error, KIOKU_ERROR_CORRUPT, "cannot read its DWARF: %s",
				 dwfl_errmsg(-1));
	}
	dwfl_report_end(dwfl, NULL, NULL);
	Dwarf *dwarf = dwfl_module_getdwarf(module, &bias);
	if (!dwarf)
		return error_set(error, KIOKU_ERROR_NOT_FOUND, "it has no DWARF: %s",
				 dwfl_errmsg(-1));
	return read_types(dwarf, out, summary, error);
}

static void end_elf(Elf **elf)
{
	elf_end(*elf);
}

static void end_dwarf(Dwarf **dwarf)
{
	dwarf_end(*dwarf);
}

enum kioku_status types_from_dwarf(int descriptor, struct kioku_types **out,
				   struct dwarf_summary *summary, struct kioku_error *error)
{
	GElf_Ehdr header;

	*summary = (struct dwarf_summary){ 0 };
	elf_version(EV_CURRENT);
	CLEANUP(end_elf) Elf *elf = elf_begin(descriptor, ELF_C_READ_MMAP, NULL);
	if (!elf || !gelf_getehdr(elf, &header))
		return error_set(error, KIOKU_ERROR_CORRUPT, "it is no ELF file: %s",
				 elf_errmsg(-1));
	if (header.e_type == ET_REL)
		return read_relocatable(descriptor, out, summary, error);
	CLEANUP(end_dwarf) Dwarf *dwarf = dwarf_begin_elf(elf, DWARF_C_READ, NULL);
	if (!dwarf)
		return error_set(error, KIOKU_ERROR_NOT_FOUND, "it has no DWARF: %s",
				 dwarf_errmsg(-1));
	return read_types(dwarf, out, summary, error);
}
