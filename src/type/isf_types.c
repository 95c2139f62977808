/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>

#include "base/error.h"
#include "base/growing.h"
#include "base/key_table.h"
#include "format/json_cursor.h"
#include "type/isf_types.h"
#include "type/type_builder.h"

#define NAME_LIMIT 512
#define SIZE_LIMIT (1u << 31)

/* What dictionary a name is of. */
enum space { SPACE_BASE, SPACE_USER, SPACE_ENUM, SPACES };

struct entry {
	struct bytes name;
	enum space space;
	uint32_t id;
	bool is_defined, is_union;
};

struct field {
	uint32_t name; /* offset in names */
	uint32_t type;
	uint64_t bit_offset;
	uint32_t bit_size;
	uint32_t order; /* in the file */
};

struct constant {
	uint32_t name;
	uint64_t value;
};

struct maker {
	struct type_builder *builder;
	struct entry *entries;
	size_t entry_count, entry_capacity;
	struct key_table known[SPACES]; /* entries by name */
	/* Of the type that is being read. */
	struct field *fields;
	size_t field_count, field_capacity;
	struct constant *constants;
	size_t constant_count, constant_capacity;
	bool has_negative;
	char *names;
	size_t names_size, names_capacity;
	struct isf_summary *summary;
	bool (*symbol)(void *user, const struct isf_symbol *symbol);
	void *user;
};

static void note_flaw(struct maker *maker, struct bytes name, const char *what)
{
	if (!maker->summary->flaw[0])
		snprintf(maker->summary->flaw, sizeof(maker->summary->flaw), "%.*s: %s",
			 (int)(name.size < 40 ? name.size : 40), (const char *)name.data, what);
}

/* --- names */

static struct bytes name_of(const void *user, uint32_t index)
{
	const struct maker *maker = user;

	return maker->entries[index].name;
}

static bool know_nothing(struct maker *maker)
{
	for (size_t space = 0; space < SPACES; space++)
		if (!key_table_begin(&maker->known[space], 0, name_of, maker))
			return false;
	return true;
}

/* The entry of a name, made at its first mention; NULL: no memory. */
static struct entry *entry_of(struct maker *maker, enum space space, struct bytes name)
{
	if (!name.data)
		name.data = (const uint8_t *)"";
	uint32_t *known = key_table_at(&maker->known[space], name);

	if (known && *known)
		return &maker->entries[*known - 1];
	if (!known || !GROW(maker->entries, maker->entry_count, maker->entry_capacity))
		return NULL;
	struct entry *entry = &maker->entries[maker->entry_count];
	*entry = (struct entry){ .name = name,
				 .space = space,
				 .id = type_builder_reserve(maker->builder) };
	*known = (uint32_t)++maker->entry_count;
	return entry;
}

/* A name as C has it, in a buffer; "" for none, or one that is none. */
static const char *text_of(struct bytes name, char buffer[NAME_LIMIT])
{
	buffer[0] = '\0';
	if (name.size > 0 && name.size < NAME_LIMIT && !memchr(name.data, '\0', name.size)) {
		memcpy(buffer, name.data, name.size);
		buffer[name.size] = '\0';
	}
	return buffer;
}

/* Keeps a name until the type that it belongs to is made. */
static bool keep_name(struct maker *maker, struct bytes name, uint32_t *out)
{
	char buffer[NAME_LIMIT];
	size_t size = strlen(text_of(name, buffer)) + 1;

	if (maker->names_size + size > maker->names_capacity) {
		size_t capacity = maker->names_capacity * 2 + NAME_LIMIT;
		char *grown = realloc(maker->names, capacity);
		if (!grown)
			return false;
		maker->names = grown;
		maker->names_capacity = capacity;
	}
	memcpy(maker->names + maker->names_size, buffer, size);
	*out = (uint32_t)maker->names_size;
	maker->names_size += size;
	return true;
}

static void forget_parts(struct maker *maker)
{
	maker->field_count = maker->constant_count = maker->names_size = 0;
	maker->has_negative = false;
}

/* The entry of what a dictionary has, ready to be made; NULL: it has it twice, or there is no memory (*good). */
static struct entry *define(struct maker *maker, enum space space, struct bytes name, bool *good)
{
	struct entry *entry = entry_of(maker, space, name);

	*good = entry != NULL;
	if (!entry)
		return NULL;
	if (entry->is_defined) {
		note_flaw(maker, name, "defined twice");
		return NULL;
	}
	entry->is_defined = true;
	type_builder_define(maker->builder, entry->id);
	return entry;
}

/* --- types */

static bool make_base(void *user, const struct isf_base *base)
{
	struct maker *maker = user;
	struct type_builder *builder = maker->builder;
	char name[NAME_LIMIT];
	bool good;

	if (json_is(base->name, "pointer")) {
		maker->summary->pointer_size = base->size < 64 ? (unsigned)base->size : 64;
		maker->summary->is_big_endian = base->is_big_endian;
	}
	if (json_is(base->kind, "void"))
		return true;
	if (base->size == 0 || base->size > 32) {
		note_flaw(maker, base->name, "a base type of no size, or a large one");
		return true;
	}
	if (!define(maker, SPACE_BASE, base->name, &good))
		return good;
	if (json_is(base->kind, "float") || base->size > 16)
		type_builder_float(builder, text_of(base->name, name), (uint32_t)base->size);
	else
		type_builder_int(builder, text_of(base->name, name), (uint32_t)base->size,
				 json_is(base->kind, "bool") ? BTF_INT_BOOL
				 : base->is_signed           ? BTF_INT_SIGNED
							     : 0);
	return true;
}

static bool leaf(struct maker *maker, const struct isf_step *step, uint32_t *out)
{
	enum space space = step->kind == ISF_BASE   ? SPACE_BASE
			   : step->kind == ISF_ENUM ? SPACE_ENUM
						    : SPACE_USER;

	*out = 0;
	if (step->kind == ISF_FUNCTION) {
		*out = type_builder_function_prototype(maker->builder, 0);
		return true;
	}
	if (step->kind == ISF_UNKNOWN || step->kind == ISF_POINTER || step->kind == ISF_ARRAY ||
	    (step->kind == ISF_BASE && json_is(step->name, "void")))
		return true;
	struct entry *entry = entry_of(maker, space, step->name);
	if (!entry)
		return false;
	if (!entry->is_defined)
		entry->is_union = step->kind == ISF_UNION;
	*out = entry->id;
	return true;
}

/* From the inside out. A bit field is the first step, if there is one. */
static bool make_type(struct maker *maker, const struct isf_type *type, struct bytes name,
		      uint32_t *out)
{
	size_t at = type->count;

	*out = 0;
	if (at == 0)
		return true;
	if (!leaf(maker, &type->steps[--at], out))
		return false;
	/* What points nowhere has nothing below it: "void *" without a subtype. */
	if (type->steps[at].kind == ISF_POINTER || type->steps[at].kind == ISF_ARRAY)
		at++;
	while (at-- > 0) {
		const struct isf_step *step = &type->steps[at];
		if (step->kind == ISF_POINTER)
			*out = type_builder_pointer(maker->builder, *out);
		else if (step->kind == ISF_ARRAY && step->count <= UINT32_MAX)
			*out = type_builder_array(maker->builder, *out, (uint32_t)step->count);
		else if (step->kind == ISF_ARRAY) {
			note_flaw(maker, name, "an array of too many elements");
			*out = 0;
		}
	}
	return true;
}

static bool make_field(void *user, const struct isf_field *field)
{
	struct maker *maker = user;
	const struct isf_step *outer = field->type.count ? &field->type.steps[0] : NULL;
	bool is_bits = outer && outer->kind == ISF_BIT_FIELD;

	if (!GROW(maker->fields, maker->field_count, maker->field_capacity))
		return false;
	struct field *out = &maker->fields[maker->field_count];
	*out = (struct field){ .order = (uint32_t)maker->field_count };
	if (field->offset > SIZE_LIMIT ||
	    (is_bits && (outer->bit_length == 0 || outer->bit_length > 128 ||
			 outer->bit_position > SIZE_LIMIT))) {
		note_flaw(maker, field->name, "a field that lies too far away, or is no bit field");
		return true;
	}
	out->bit_offset = field->offset * 8 + (is_bits ? outer->bit_position : 0);
	out->bit_size = is_bits ? (uint32_t)outer->bit_length : 0;
	struct bytes name = field->is_anonymous ? (struct bytes){ 0 } : field->name;
	if (!keep_name(maker, name, &out->name) ||
	    !make_type(maker, &field->type, field->name, &out->type))
		return false;
	maker->field_count++;
	return true;
}

/* A dictionary has no order, but offsets have. */
static int compare_fields(const void *left, const void *right)
{
	const struct field *a = left, *b = right;

	if (a->bit_offset != b->bit_offset)
		return a->bit_offset < b->bit_offset ? -1 : 1;
	return a->order < b->order ? -1 : 1;
}

/* dwarf2json makes up such names. */
static bool is_made_up(struct bytes name)
{
	return name.size > 8 && memcmp(name.data, "unnamed_", 8) == 0;
}

static bool make_user_type(void *user, struct bytes name, enum isf_kind kind, uint64_t size)
{
	struct maker *maker = user;
	char text[NAME_LIMIT];
	bool good, has_bit_fields = false;

	if (size > SIZE_LIMIT) {
		note_flaw(maker, name, "a type of more than 2 GiB");
		forget_parts(maker);
		return true;
	}
	if (define(maker, SPACE_USER, name, &good)) {
		struct bytes shown = is_made_up(name) ? (struct bytes){ 0 } : name;
		if (maker->field_count)
			qsort(maker->fields, maker->field_count, sizeof(*maker->fields),
			      compare_fields);
		for (size_t i = 0; i < maker->field_count; i++)
			has_bit_fields |= maker->fields[i].bit_size != 0;
		type_builder_struct(maker->builder,
				    kind == ISF_UNION ? KIOKU_TYPE_UNION : KIOKU_TYPE_STRUCT,
				    text_of(shown, text), (uint32_t)size);
		for (size_t i = 0; i < maker->field_count; i++) {
			const struct field *field = &maker->fields[i];
			if (type_builder_holds(field->bit_offset, field->bit_size, has_bit_fields))
				type_builder_member(maker->builder, maker->names + field->name,
						    field->type, field->bit_offset,
						    field->bit_size);
			else
				note_flaw(maker, name, "a field that lies too far away");
		}
	}
	forget_parts(maker);
	return good;
}

static bool make_constant(void *user, struct bytes name, uint64_t value, bool is_negative)
{
	struct maker *maker = user;

	if (!GROW(maker->constants, maker->constant_count, maker->constant_capacity))
		return false;
	struct constant *constant = &maker->constants[maker->constant_count];
	if (!keep_name(maker, name, &constant->name))
		return false;
	constant->value = value;
	maker->has_negative |= is_negative;
	maker->constant_count++;
	return true;
}

static bool make_enum(void *user, struct bytes name, uint64_t size)
{
	struct maker *maker = user;
	char text[NAME_LIMIT];
	bool good;

	if (define(maker, SPACE_ENUM, name, &good)) {
		struct bytes shown = is_made_up(name) ? (struct bytes){ 0 } : name;
		type_builder_enum(maker->builder, text_of(shown, text),
				  size == 0 || size > 8 ? 4 : (uint32_t)size, maker->has_negative);
		for (size_t i = 0; i < maker->constant_count; i++)
			type_builder_constant(maker->builder,
					      maker->names + maker->constants[i].name,
					      maker->constants[i].value);
	}
	forget_parts(maker);
	return good;
}

static bool pass_symbol(void *user, const struct isf_symbol *symbol)
{
	struct maker *maker = user;

	return !maker->symbol || maker->symbol(maker->user, symbol);
}

/* What was mentioned and never defined is known by name only. */
static void make_rest(struct maker *maker)
{
	char text[NAME_LIMIT];

	for (size_t i = 0; i < maker->entry_count; i++) {
		const struct entry *entry = &maker->entries[i];
		if (entry->is_defined || entry->space != SPACE_USER)
			continue;
		type_builder_define(maker->builder, entry->id);
		type_builder_forward(maker->builder, text_of(entry->name, text), entry->is_union);
	}
}

static void release(struct maker *maker)
{
	type_builder_close(maker->builder);
	free(maker->entries);
	for (size_t space = 0; space < SPACES; space++)
		key_table_release(&maker->known[space]);
	free(maker->fields);
	free(maker->constants);
	free(maker->names);
}

enum kioku_status types_from_isf(struct bytes text,
				 bool (*symbol)(void *user, const struct isf_symbol *symbol),
				 void *user, struct kioku_types **out, struct isf_summary *summary,
				 struct kioku_error *error)
{
	static const struct isf_handler handler = { make_base,     make_field, make_user_type,
						    make_constant, make_enum,  pass_symbol };
	CLEANUP(release)
	struct maker maker = {
		.builder = type_builder_new(), .summary = summary, .symbol = symbol, .user = user
	};
	struct isf_problem problem;

	*summary = (struct isf_summary){ 0 };
	if (!maker.builder || !know_nothing(&maker))
		return error_no_memory(error);
	switch (isf_read(text, &handler, &maker, &problem)) {
	case ISF_OK: break;
	case ISF_STOPPED: return error_no_memory(error);
	case ISF_NO_ISF:
		return error_set(error, KIOKU_ERROR_NOT_FOUND,
				 "it is no symbol table of volatility3%s%s",
				 problem.what ? ": " : "", problem.what ? problem.what : "");
	case ISF_CORRUPT:
		return error_set(error, KIOKU_ERROR_CORRUPT,
				 "the symbol table is damaged at byte %zu: %s", problem.at,
				 problem.what);
	}
	make_rest(&maker);
	return type_builder_finish(maker.builder, out, error);
}
