/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* BTF that a test writes, by Documentation/bpf/btf.rst. */
#ifndef TESTS_UNIT_TEST_BTF_H
#define TESTS_UNIT_TEST_BTF_H

#include "tap.h"
#include "type/types.h"

struct btf {
	uint8_t types[16384], strings[8192];
	size_t types_size, strings_size;
	uint32_t count;
	uint32_t header_size; /* 0: 24 */
	uint8_t layout[256];
	size_t layout_size;
	const struct btf *base; /* of a module's: what types and strings are counted on from */
	struct {
		const char *name;
		uint32_t id;
	} structs[64]; /* those of btf_layout() */
	size_t struct_count;
};

static inline void put32(struct btf *btf, uint32_t value)
{
	CHECK(btf->types_size + 4 <= sizeof(btf->types));
	memcpy(btf->types + btf->types_size, &value, 4);
	btf->types_size += 4;
}

static inline uint32_t string(struct btf *btf, const char *text)
{
	uint32_t before = btf->base ? (uint32_t)btf->base->strings_size : 0;

	if (btf->strings_size == 0 && !btf->base)
		btf->strings_size = 1;
	if (!*text)
		return 0;
	CHECK(btf->strings_size + strlen(text) < sizeof(btf->strings));
	uint32_t at = (uint32_t)btf->strings_size;
	strcpy((char *)btf->strings + at, text);
	btf->strings_size += strlen(text) + 1;
	return before + at;
}

/* The fixed part of a record; returns the type's number. */
static inline uint32_t type(struct btf *btf, unsigned kind, const char *name, uint32_t length,
			    bool flag, uint32_t size_or_type)
{
	put32(btf, string(btf, name));
	put32(btf, (uint32_t)flag << 31 | kind << 24 | length);
	put32(btf, size_or_type);
	return ++btf->count + (btf->base ? btf->base->count : 0);
}

static inline uint32_t integer(struct btf *btf, const char *name, uint32_t size, uint32_t encoding)
{
	uint32_t id = type(btf, KIOKU_TYPE_INT, name, 0, false, size);

	put32(btf, encoding << 24 | size * 8);
	return id;
}

/* offset is in bits; with the flag of its struct, the size of a bit field is above it. */
static inline void member(struct btf *btf, const char *name, uint32_t id, uint32_t offset)
{
	put32(btf, string(btf, name));
	put32(btf, id);
	put32(btf, offset);
}

static inline uint32_t array(struct btf *btf, uint32_t element, uint32_t count)
{
	uint32_t id = type(btf, KIOKU_TYPE_ARRAY, "", 0, false, 0);

	put32(btf, element);
	put32(btf, 1);
	put32(btf, count);
	return id;
}

/* The whole, malloc'ed. */
static inline void *assemble(const struct btf *btf, size_t *size)
{
	uint32_t header_size = btf->header_size ? btf->header_size : 24;
	uint32_t layout = (uint32_t)(btf->types_size + btf->strings_size + 3) & ~3u;
	uint32_t header[8] = { 0x0001eb9f,
			       header_size,
			       0,
			       (uint32_t)btf->types_size,
			       (uint32_t)btf->types_size,
			       (uint32_t)btf->strings_size,
			       layout,
			       (uint32_t)btf->layout_size };
	uint8_t *data = calloc(1, header_size + layout + btf->layout_size);

	CHECK(data);
	memcpy(data, header, header_size < 32 ? 24 : 32);
	memcpy(data + header_size, btf->types, btf->types_size);
	memcpy(data + header_size + btf->types_size, btf->strings, btf->strings_size);
	memcpy(data + header_size + layout, btf->layout, btf->layout_size);
	*size = header_size + layout + btf->layout_size;
	return data;
}

static inline struct kioku_types *open_btf(const struct btf *btf)
{
	struct kioku_types *types = NULL;
	size_t size;
	void *data = assemble(btf, &size);

	return types_from_btf(data, size, &types, NULL) == KIOKU_OK ? types : NULL;
}

/* --- many structs from a text */

/* Numbers of the integers that btf_layout() begins with. */
enum { BTF_U8 = 1, BTF_U16, BTF_U32, BTF_U64, BTF_S32, BTF_CHAR };

static inline uint32_t layout_type(const struct btf *btf, const char *name)
{
	static const char *const integers[] = { "u8", "u16", "u32", "u64", "s32", "char" };

	for (uint32_t i = 0; i < sizeof(integers) / sizeof(*integers); i++)
		if (strcmp(integers[i], name) == 0)
			return BTF_U8 + i;
	for (size_t i = 0; i < btf->struct_count; i++)
		if (strcmp(btf->structs[i].name, name) == 0)
			return btf->structs[i].id;
	CHECK(btf->base);
	return layout_type(btf->base, name);
}

/* "NAME TYPE@BYTE", "NAME TYPE[COUNT]@BYTE" or, of a bit field, "NAME TYPE:BITS@BIT". */
struct layout_member {
	char name[48], type[48];
	uint32_t count, bits, at, id;
};

/* One struct: its members may have types of their own, which come before it. */
static inline void layout_struct(struct btf *btf, char *name, const char *line)
{
	struct layout_member members[32];
	uint32_t count = 0, size;
	int used;

	CHECK(sscanf(line, "%u%n", &size, &used) == 1);
	for (line += used;; line += used, count++) {
		struct layout_member *at = &members[count];
		*at = (struct layout_member){ .id = 0 };
		if (sscanf(line, " %47s %47[a-z0-9_]%n", at->name, at->type, &used) != 2)
			break;
		CHECK(count < 32);
		line += used;
		CHECK(sscanf(line, "[%u]@%u%n", &at->count, &at->at, &used) == 2 ||
		      sscanf(line, ":%u@%u%n", &at->bits, &at->at, &used) == 2 ||
		      sscanf(line, "@%u%n", &at->at, &used) == 1);
		at->id = layout_type(btf, at->type);
		if (at->count)
			at->id = array(btf, at->id, at->count);
	}
	CHECK(btf->struct_count < 64);
	btf->structs[btf->struct_count].name = name;
	btf->structs[btf->struct_count++].id =
		type(btf, KIOKU_TYPE_STRUCT, name, count, true, size);
	for (uint32_t i = 0; i < count; i++)
		member(btf, members[i].name, members[i].id,
		       members[i].bits ? members[i].bits << 24 | members[i].at : members[i].at * 8);
}

/* A pointer to a function without parameters, by a name that only the layout has. */
static inline void layout_call(struct btf *btf, char *name)
{
	uint32_t prototype = type(btf, KIOKU_TYPE_FUNCTION_PROTOTYPE, "", 0, false, 0);

	CHECK(btf->struct_count < 64);
	btf->structs[btf->struct_count].name = name;
	btf->structs[btf->struct_count++].id =
		type(btf, KIOKU_TYPE_POINTER, "", 0, false, prototype);
}

static inline void layout_enum(struct btf *btf, const char *name, const char *line)
{
	struct {
		char name[48];
		uint32_t value;
	} values[32];
	uint32_t count = 0;
	int used;

	for (; sscanf(line, " %47[A-Za-z0-9_]=%u%n", values[count].name, &values[count].value,
		      &used) == 2;
	     line += used)
		CHECK(++count < 32);
	type(btf, KIOKU_TYPE_ENUM, name, count, false, 4);
	for (uint32_t i = 0; i < count; i++) {
		put32(btf, string(btf, values[i].name));
		put32(btf, values[i].value);
	}
}

/*
 * A line each: "struct NAME SIZE MEMBER TYPE@BYTE ...", where TYPE is one of the integers or a name of a line
 * before, "call NAME" for a pointer to a function, or "enum NAME CONSTANT=VALUE ...". Names are kept as long as the BTF.
 */
static inline void btf_layout(struct btf *btf, const char *text)
{
	char *copy = strdup(text), *rest = NULL;

	CHECK(copy);
	if (btf->count == 0 && !btf->base) {
		integer(btf, "unsigned char", 1, 0);
		integer(btf, "short unsigned int", 2, 0);
		integer(btf, "unsigned int", 4, 0);
		integer(btf, "long unsigned int", 8, 0);
		integer(btf, "int", 4, 1);
		integer(btf, "char", 1, 1);
	}
	for (char *line = strtok_r(copy, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		char kind[8], name[48];
		int used;
		CHECK(sscanf(line, " %7s %47s%n", kind, name, &used) == 2);
		if (strcmp(kind, "struct") == 0)
			layout_struct(btf, strdup(name), line + used);
		else if (strcmp(kind, "call") == 0)
			layout_call(btf, strdup(name));
		else
			layout_enum(btf, name, line + used);
	}
	free(copy);
}

/* The names that btf_layout() kept. */
static inline void btf_release(struct btf *btf)
{
	for (size_t i = 0; i < btf->struct_count; i++)
		free((char *)btf->structs[i].name);
	btf->struct_count = 0;
}

#endif
