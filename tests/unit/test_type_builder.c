/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Types made of pieces are what the reader of BTF says of them. */
#include "tap.h"
#include "type/type_builder.h"

static struct kioku_types *finish(struct type_builder *builder)
{
	struct kioku_types *types = NULL;
	struct kioku_error error = { 0 };

	if (type_builder_finish(builder, &types, &error) != KIOKU_OK)
		tap_fail(__FILE__, __LINE__, "%s", error.message);
	CHECK(!types_flaw(types));
	return types;
}

static struct kioku_member member_of(const struct kioku_types *types, uint32_t id, const char *path)
{
	struct kioku_member member = { 0 };

	CHECK_EQUAL(kioku_type_member(types, id, path, &member, NULL), KIOKU_OK);
	return member;
}

static void makes_every_kind(void)
{
	AUTO_TYPE_BUILDER struct type_builder *b = type_builder_new();
	uint32_t u64 = type_builder_int(b, "long unsigned int", 8, 0);
	uint32_t s32 = type_builder_int(b, "int", 4, BTF_INT_SIGNED);
	uint32_t text = type_builder_int(b, "char", 1, BTF_INT_CHAR | BTF_INT_SIGNED);
	uint32_t real = type_builder_float(b, "double", 8);
	uint32_t pointer = type_builder_pointer(b, 0);
	uint32_t constant = type_builder_qualifier(b, KIOKU_TYPE_CONST, text);
	uint32_t row = type_builder_array(b, constant, 16);
	uint32_t alias = type_builder_typedef(b, "u64", u64);
	uint32_t later = type_builder_forward(b, "later", true);
	uint32_t call = type_builder_function_prototype(b, s32);
	type_builder_parameter(b, "first", pointer);
	type_builder_parameter(b, "", 0);
	uint32_t inner = type_builder_struct(b, KIOKU_TYPE_UNION, NULL, 8);
	type_builder_member(b, "wide", alias, 0, 0);
	type_builder_member(b, "narrow", s32, 0, 0);
	uint32_t outer = type_builder_struct(b, KIOKU_TYPE_STRUCT, "outer", 64);
	type_builder_member(b, "text", row, 0, 0);
	type_builder_member(b, "", inner, 128, 0);
	type_builder_member(b, "low", s32, 192, 3);
	type_builder_member(b, "high", s32, 195, 5);
	type_builder_member(b, "real", real, 256, 0);
	uint32_t state = type_builder_enum(b, "state", 4, true);
	type_builder_constant(b, "DEAD", (uint64_t)-1);
	type_builder_constant(b, "ALIVE", 1);
	uint32_t flags = type_builder_enum(b, "flags", 4, false);
	type_builder_constant(b, "HIGH", 0x80000000);
	type_builder_constant(b, "HIGHER", 0x100000000);
	AUTO_TYPES struct kioku_types *types = finish(b);

	CHECK_EQUAL(kioku_type_kind(types, real), KIOKU_TYPE_FLOAT);
	CHECK_EQUAL(kioku_type_size(types, row), 16);
	CHECK_EQUAL(kioku_type_size(types, alias), 8);
	CHECK_EQUAL(kioku_type_kind(types, later), KIOKU_TYPE_FORWARD);
	CHECK_EQUAL(kioku_type_size(types, outer), 64);
	CHECK_EQUAL(member_of(types, outer, "narrow").bit_offset, 128);
	CHECK_EQUAL(member_of(types, outer, "wide").type, alias);
	CHECK_EQUAL(member_of(types, outer, "low").bit_size, 3);
	CHECK_EQUAL(member_of(types, outer, "high").bit_offset, 195);
	CHECK_EQUAL(member_of(types, outer, "high").bit_size, 5);
	CHECK_EQUAL(member_of(types, outer, "real").bit_offset, 256);
	CHECK_EQUAL(member_of(types, outer, "real").bit_size, 0);

	struct btf_record record;
	CHECK(types_record(types, call, &record));
	CHECK_EQUAL(record.kind, KIOKU_TYPE_FUNCTION_PROTOTYPE);
	CHECK_EQUAL(record.length, 2);
	CHECK_EQUAL(record.type, s32);
	CHECK_EQUAL(btf_parameter(&record, 0).type, pointer);
	CHECK_EQUAL(btf_parameter(&record, 1).type, 0);
	CHECK(types_record(types, later, &record) && record.flag);
	CHECK(types_record(types, s32, &record));
	CHECK_EQUAL(btf_int(&record).encoding, BTF_INT_SIGNED);
	CHECK_EQUAL(btf_int(&record).bits, 32);

	uint64_t value;
	CHECK(types_enum_value(types, "state", "DEAD", &value));
	CHECK_EQUAL(value, (uint64_t)-1);
	CHECK_EQUAL(kioku_type_kind(types, state), KIOKU_TYPE_ENUM);
	CHECK(types_enum_value(types, "flags", "HIGHER", &value));
	CHECK_EQUAL(value, 0x100000000);
	CHECK(types_enum_value(types, "flags", "HIGH", &value));
	CHECK_EQUAL(value, 0x80000000);
	CHECK_EQUAL(kioku_type_kind(types, flags), KIOKU_TYPE_ENUM64);
	CHECK_EQUAL(kioku_type_size(types, flags), 4);
}

static void makes_cycles(void)
{
	AUTO_TYPE_BUILDER struct type_builder *b = type_builder_new();
	uint32_t list = type_builder_reserve(b);
	uint32_t task = type_builder_reserve(b);
	uint32_t never = type_builder_reserve(b);
	uint32_t to_list = type_builder_pointer(b, list);

	type_builder_define(b, task);
	CHECK_EQUAL(type_builder_struct(b, KIOKU_TYPE_STRUCT, "task", 24), task);
	type_builder_member(b, "tasks", list, 0, 0);
	type_builder_member(b, "parent", type_builder_reserve(b), 128, 0);
	uint32_t to_task = task + 3;
	type_builder_define(b, list);
	CHECK_EQUAL(type_builder_struct(b, KIOKU_TYPE_STRUCT, "list", 16), list);
	type_builder_member(b, "next", to_list, 0, 0);
	type_builder_member(b, "prev", to_list, 64, 0);
	type_builder_define(b, to_task);
	CHECK_EQUAL(type_builder_pointer(b, task), to_task);
	AUTO_TYPES struct kioku_types *types = finish(b);
	CHECK_EQUAL(kioku_types_count(types), to_task);
	CHECK_EQUAL(member_of(types, task, "tasks.prev").bit_offset, 64);
	CHECK_EQUAL(member_of(types, task, "parent").type, to_task);
	CHECK_EQUAL(kioku_type_size(types, never), 0);
	CHECK_EQUAL(types_resolve(types, never), 0);
}

static void keeps_one_of_a_kind(void)
{
	AUTO_TYPE_BUILDER struct type_builder *b = type_builder_new();
	uint32_t first = 0, second = 0;

	for (unsigned i = 0; i < 5000; i++) {
		char name[16];
		snprintf(name, sizeof(name), "t%u", i % 2500);
		uint32_t id = type_builder_typedef(b, name, type_builder_int(b, "int", 4, 1));
		CHECK_EQUAL(type_builder_pointer(b, id), id + 1);
		first = i == 17 ? id : first;
		second = i == 2517 ? id : second;
	}
	CHECK(first && first == second);
	CHECK(type_builder_array(b, first, 2) != type_builder_array(b, first, 3));
	/* A struct is a new one each time: its members are not known when it is begun. */
	CHECK(type_builder_struct(b, KIOKU_TYPE_STRUCT, "s", 8) !=
	      type_builder_struct(b, KIOKU_TYPE_STRUCT, "s", 8));
	AUTO_TYPES struct kioku_types *types = finish(b);
	CHECK_EQUAL(kioku_types_count(types), 1 + 5000 + 1 + 2 + 2);
}

static void keeps_errors(void)
{
	struct kioku_types *types = NULL;
	struct kioku_error error = { 0 };
	AUTO_TYPE_BUILDER struct type_builder *far = type_builder_new();

	type_builder_struct(far, KIOKU_TYPE_STRUCT, "far", 1 << 30);
	type_builder_member(far, "bits", 0, 1 << 24, 3);
	type_builder_int(far, "int", 4, 0);
	CHECK_EQUAL(type_builder_finish(far, &types, &error), KIOKU_ERROR_LIMIT);
	CHECK_SAYS(error.message, "limit");

	AUTO_TYPE_BUILDER struct type_builder *orphan = type_builder_new();
	type_builder_struct(orphan, KIOKU_TYPE_STRUCT, "s", 8);
	uint32_t s32 = type_builder_int(orphan, "int", 4, 0);
	type_builder_member(orphan, "late", s32, 0, 0);
	CHECK_EQUAL(type_builder_finish(orphan, &types, &error), KIOKU_ERROR_ARGUMENT);

	AUTO_TYPE_BUILDER struct type_builder *twice = type_builder_new();
	uint32_t id = type_builder_reserve(twice);
	type_builder_define(twice, id);
	type_builder_int(twice, "int", 4, 0);
	type_builder_define(twice, id);
	CHECK_EQUAL(type_builder_finish(twice, &types, &error), KIOKU_ERROR_ARGUMENT);

	AUTO_TYPE_BUILDER struct type_builder *empty = type_builder_new();
	CHECK_EQUAL(type_builder_finish(empty, &types, &error), KIOKU_ERROR_CORRUPT);
	CHECK(!types);
}

/* What an enumeration is like does not depend on what comes after it. */
static void closes_enums(void)
{
	AUTO_TYPE_BUILDER struct type_builder *b = type_builder_new();
	uint32_t small = type_builder_enum(b, "small", 4, false);
	type_builder_constant(b, "ONE", 1);
	uint32_t large = type_builder_enum(b, "large", 8, false);
	type_builder_constant(b, "TWO", 2);
	type_builder_struct(b, KIOKU_TYPE_STRUCT, "s", 100);
	uint32_t last = type_builder_enum(b, "last", 4, false);
	type_builder_constant(b, "THREE", 3);
	AUTO_TYPES struct kioku_types *types = finish(b);
	CHECK_EQUAL(kioku_type_kind(types, small), KIOKU_TYPE_ENUM);
	CHECK_EQUAL(kioku_type_kind(types, large), KIOKU_TYPE_ENUM64);
	CHECK_EQUAL(kioku_type_size(types, large), 8);
	CHECK_EQUAL(kioku_type_kind(types, last), KIOKU_TYPE_ENUM);
}

/* Without bit fields, members may lie as far as 512 MiB away. */
static void holds_large_structs(void)
{
	AUTO_TYPE_BUILDER struct type_builder *b = type_builder_new();
	uint32_t byte = type_builder_int(b, "unsigned char", 1, 0);
	uint32_t large = type_builder_struct(b, KIOKU_TYPE_STRUCT, "large", 1 << 29);

	type_builder_member(b, "last", byte, 0xfffffff8, 0);
	AUTO_TYPES struct kioku_types *types = finish(b);
	CHECK_EQUAL(member_of(types, large, "last").bit_offset, 0xfffffff8);
}

TAP_MAIN(TEST(makes_every_kind), TEST(makes_cycles), TEST(keeps_one_of_a_kind), TEST(keeps_errors),
	 TEST(closes_enums), TEST(holds_large_structs))
