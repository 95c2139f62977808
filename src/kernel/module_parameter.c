/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the parameters of a module are now, as kernel/params.c shows them, 4.18 to 7.0. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "kernel/module.h"

enum {
	PARAMETER_LIMIT = 4096,
	NAME_ROOM = 256,
	TEXT_ROOM = 1024, /* a charp parameter's longest text, kernel/params.c */
	VALUE_ROOM = 4096,
	ELEMENT_LIMIT = 1024, /* of an array */
};

struct parameter {
	uint64_t name, operations, argument;
};

static const struct member parameter_members[] = {
	MEMBER(struct parameter, name, "name"),
	MEMBER(struct parameter, operations, "ops"),
	MEMBER(struct parameter, argument, "arg"),
};
static const struct record parameter_record =
	RECORD(struct parameter, "kernel_param", parameter_members);

struct array {
	uint64_t operations, count_at, elements;
	uint32_t most, element_size;
};

static const struct member array_members[] = {
	MEMBER(struct array, operations, "ops"),        MEMBER(struct array, count_at, "num"),
	MEMBER(struct array, elements, "elem"),         MEMBER(struct array, most, "max"),
	MEMBER(struct array, element_size, "elemsize"),
};
static const struct record array_record = RECORD(struct array, "kparam_array", array_members);

struct string {
	uint64_t text;
	uint32_t most;
};

static const struct member string_members[] = {
	MEMBER(struct string, text, "string"),
	MEMBER(struct string, most, "maxlen"),
};
static const struct record string_record = RECORD(struct string, "kparam_string", string_members);

/* The kinds of which kernel/params.c tells the value, by the table of functions that they have. */
enum kind { SIGNED, UNSIGNED, HEXADECIMAL, BOOLEAN, INVERTED, TEXT, COPIED, ARRAY };

static const struct {
	const char *operations;
	enum kind kind;
	unsigned size;
} kinds[] = {
	{ "param_ops_byte", UNSIGNED, 1 },
	{ "param_ops_short", SIGNED, 2 },
	{ "param_ops_ushort", UNSIGNED, 2 },
	{ "param_ops_int", SIGNED, 4 },
	{ "param_ops_uint", UNSIGNED, 4 },
	{ "param_ops_long", SIGNED, 8 },
	{ "param_ops_ulong", UNSIGNED, 8 },
	{ "param_ops_ullong", UNSIGNED, 8 },
	{ "param_ops_hexint", HEXADECIMAL, 4 },
	{ "param_ops_bool", BOOLEAN, 1 },
	{ "param_ops_bool_enable_only", BOOLEAN, 1 },
	{ "param_ops_invbool", INVERTED, 1 },
	{ "param_ops_bint", SIGNED, 4 },
	{ "param_ops_charp", TEXT, 8 },
	{ "param_ops_string", COPIED, 0 },
	{ "param_array_ops", ARRAY, 0 },
};

struct value {
	char text[VALUE_ROOM];
	size_t size;
};

static bool add(struct value *value, const char *text, size_t size)
{
	if (size >= VALUE_ROOM - value->size)
		return false;
	memcpy(value->text + value->size, text, size);
	value->size += size;
	value->text[value->size] = '\0';
	return true;
}

static bool add_number(struct value *value, enum kind kind, unsigned size, uint64_t number)
{
	char text[32];
	unsigned shift = 64 - 8 * size;
	const char *format = kind == HEXADECIMAL ? "%#08" PRIx64 : "%" PRIu64;

	if (kind == BOOLEAN || kind == INVERTED)
		return add(value, (number != 0) == (kind == BOOLEAN) ? "Y" : "N", 1);
	if (kind == SIGNED)
		return add(value, text,
			   (size_t)snprintf(text, sizeof(text), "%" PRId64,
					    (int64_t)(number << shift) >> shift));
	return add(value, text, (size_t)snprintf(text, sizeof(text), format, number));
}

static bool add_text(struct kioku_kernel *kernel, struct value *value, uint64_t address,
		     size_t room)
{
	char text[TEXT_ROOM];
	size_t size;

	return kernel_read_string(kernel, address, text, room < TEXT_ROOM ? room : TEXT_ROOM,
				  &size) == KIOKU_OK &&
	       add(value, text, size);
}

static bool add_value(struct kioku_kernel *kernel, struct value *value, uint64_t operations,
		      uint64_t argument, bool is_element);

static bool add_array(struct kioku_kernel *kernel, struct value *value, uint64_t argument)
{
	uint8_t raw[4];
	struct array array;

	if (record_read_at(kernel, &array_record, argument, &array) != KIOKU_OK)
		return false;
	uint32_t count = array.most;
	if (array.count_at) {
		if (kernel_read(kernel, array.count_at, raw, sizeof(raw), NULL) != KIOKU_OK)
			return false;
		count = load_le32(raw);
	}
	if (count > array.most || count > ELEMENT_LIMIT)
		return false;
	for (uint32_t i = 0; i < count; i++)
		if ((i > 0 && !add(value, ",", 1)) ||
		    !add_value(kernel, value, array.operations,
			       array.elements + (uint64_t)i * array.element_size, true))
			return false;
	return true;
}

/* False: it is of a kind that is not known, or cannot be read. */
static bool add_value(struct kioku_kernel *kernel, struct value *value, uint64_t operations,
		      uint64_t argument, bool is_element)
{
	uint8_t raw[8] = { 0 };
	struct string string;
	size_t i = 0, count = sizeof(kinds) / sizeof(*kinds);

	while (i < count && (!kernel_symbol(kernel, kinds[i].operations) ||
			     kernel_symbol(kernel, kinds[i].operations) != operations))
		i++;
	if (i == count)
		return false;
	enum kind kind = kinds[i].kind;
	if (kind == ARRAY)
		return !is_element && add_array(kernel, value, argument);
	if (kind == COPIED)
		return record_read_at(kernel, &string_record, argument, &string) == KIOKU_OK &&
		       add_text(kernel, value, string.text, string.most);
	if (kernel_read(kernel, argument, raw, kinds[i].size, NULL) != KIOKU_OK)
		return false;
	if (kind != TEXT)
		return add_number(value, kind, kinds[i].size, load_le64(raw));
	/* As printf() of the kernel shows a text that is not there. */
	if (load_le64(raw) == 0)
		return add(value, "(null)", 6);
	return add_text(kernel, value, load_le64(raw), TEXT_ROOM);
}

enum kioku_status module_each_parameter(struct kioku_kernel *kernel, const struct module *module,
					module_parameter_fn *receive, void *user)
{
	AUTO_FREE struct value *value = malloc(sizeof(*value));
	const struct binding *binding;
	char name[NAME_ROOM];
	uint32_t id;
	size_t size;

	if (!value)
		return KIOKU_ERROR_NO_MEMORY;
	if (module->parameter_count > PARAMETER_LIMIT)
		return KIOKU_ERROR_CORRUPT;
	TRY(record_bind(kernel, &parameter_record, &binding, NULL));
	TRY(kioku_types_find(kernel->types, "struct kernel_param", &id, NULL));
	for (uint64_t i = 0; i < module->parameter_count; i++) {
		struct parameter parameter;
		TRY(record_read(kernel, binding,
				module->parameters + i * kioku_type_size(kernel->types, id),
				&parameter, NULL));
		TRY(kernel_read_string(kernel, parameter.name, name, sizeof(name), &size));
		*value = (struct value){ .size = 0 };
		bool is_known =
			add_value(kernel, value, parameter.operations, parameter.argument, false);
		TRY(receive(user, name, is_known ? value->text : NULL));
	}
	return KIOKU_OK;
}
