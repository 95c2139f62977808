/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files for --types and --symbols: what they are told by, what is made of them, and what is refused. */
#include <fcntl.h>
#include <zlib.h>

#include "kernel/layout_check.h"
#include "kernel/type_file.h"
#include "test_btf.h"

static const char isf[] =
	"{\"base_types\": {\"int\": {\"size\": 4, \"signed\": true, \"kind\": \"int\"},\n"
	" \"pointer\": {\"size\": 8, \"signed\": false, \"kind\": \"int\", \"endian\": \"little\"},"
	" \"void\": {\"size\": 0, \"signed\": false, \"kind\": \"void\"}},\n"
	"\"user_types\": {\"task_struct\": {\"size\": 64, \"kind\": \"struct\", \"fields\": {"
	" \"comm\": {\"offset\": 40, \"type\": {\"kind\": \"array\", \"count\": 4, \"subtype\":"
	"  {\"kind\": \"base\", \"name\": \"int\"}}},"
	" \"low\": {\"offset\": 4, \"type\": {\"kind\": \"bitfield\", \"bit_position\": 3,"
	"  \"bit_length\": 5, \"type\": {\"kind\": \"base\", \"name\": \"int\"}}},"
	" \"unnamed_field_8\": {\"offset\": 8, \"anonymous\": true, \"type\": {\"kind\": \"union\","
	"  \"name\": \"unnamed_7\"}},"
	" \"parent\": {\"offset\": 16, \"type\": {\"subtype\": {\"name\": \"task_struct\","
	"  \"kind\": \"struct\"}, \"kind\": \"pointer\"}},"
	" \"mm\": {\"offset\": 24, \"type\": {\"kind\": \"pointer\", \"subtype\": {\"kind\": "
	"\"struct\","
	"  \"name\": \"mm_struct\"}}}}},\n"
	"\"unnamed_7\": {\"size\": 8, \"kind\": \"union\", \"fields\": {"
	" \"pid\": {\"offset\": 0, \"type\": {\"kind\": \"base\", \"name\": \"int\"}},"
	" \"any\": {\"offset\": 0, \"type\": {\"kind\": \"pointer\", \"subtype\": {\"kind\": "
	"\"base\","
	"  \"name\": \"void\"}}}}}},\n"
	"\"enums\": {\"state\": {\"size\": 4, \"base\": \"int\", \"constants\": {\"DEAD\": -1,"
	" \"ALIVE\": 1}}},\n"
	"\"symbols\": {\"linux_banner\": {\"address\": 18446744071597070592, \"constant_data\":"
	" \"TGludXggdmVyc2lvbiA2LjEKAA==\"},"
	" \"_text\": {\"address\": 18446744071578845184},"
	" \"cpu_number\": {\"address\": 4096}}}\n";

static enum kioku_status read_bytes(const void *data, size_t size, bool wants_types,
				    struct type_file *out, struct kioku_error *error)
{
	*out = (struct type_file){ .path = "test" };
	return type_file_read(out, (struct bytes){ data, size }, -1, wants_types, error);
}

static void release(struct type_file *file)
{
	types_close(file->types);
	symbols_close(file->symbols);
}

static uint64_t place_of(const struct kioku_types *types, const char *path)
{
	struct type_place place = { UINT64_MAX, 0 };

	types_find_place(types, "struct task_struct", path, &place);
	return place.offset;
}

static void reads_isf(void)
{
	CLEANUP(release) struct type_file file;
	struct kioku_symbol symbol;
	struct kioku_member member;
	uint64_t value;
	uint32_t id;

	CHECK_EQUAL(read_bytes(isf, strlen(isf), true, &file, NULL), KIOKU_OK);
	CHECK(!file.flaw[0]);
	CHECK(strcmp(file.banner, "Linux version 6.1") == 0);
	CHECK_EQUAL(types_size_of(file.types, "struct task_struct"), 64);
	CHECK_EQUAL(place_of(file.types, "comm"), 40);
	CHECK_EQUAL(place_of(file.types, "pid"), 8);
	CHECK_EQUAL(place_of(file.types, "mm"), 24);
	CHECK_EQUAL(kioku_types_find(file.types, "task_struct", &id, NULL), KIOKU_OK);
	CHECK_EQUAL(kioku_type_member(file.types, id, "low", &member, NULL), KIOKU_OK);
	CHECK_EQUAL(member.bit_offset, 35);
	CHECK_EQUAL(member.bit_size, 5);
	CHECK(kioku_type_member_at(file.types, id, 0, &member));
	CHECK(strcmp(member.name, "low") == 0);
	CHECK_EQUAL(kioku_types_find(file.types, "struct mm_struct", &id, NULL), KIOKU_OK);
	CHECK_EQUAL(kioku_type_kind(file.types, id), KIOKU_TYPE_FORWARD);
	CHECK(types_enum_value(file.types, "state", "DEAD", &value));
	CHECK_EQUAL(value, (uint64_t)-1);
	CHECK_EQUAL(kioku_symbols_find(file.symbols, "_text", &symbol, NULL), KIOKU_OK);
	CHECK_EQUAL(symbol.address, 0xffffffff81000000);
	CHECK(symbols_is_absolute(file.symbols, 0));
}

static void refuses_hostile_isf(void)
{
	static const struct {
		const char *text, *says;
	} cases[] = {
		{ "{\"user_types\": {", "string is expected" },
		{ "{\"user_types\": {\"a\": {\"size\": -1}}}", "negative" },
		{ "{\"user_types\": {\"a\": {\"size\": 99999999999999999999}}}", "64 bits" },
		{ "{\"user_types\": {\"a\": {\"size\": 1.5}}}", "whole number" },
		{ "{\"base_types\": {\"pointer\": {\"size\": 4, \"kind\": \"int\"}}}",
		  "another architecture" },
		{ "{\"metadata\": {}}", "no symbol table" },
		{ "{\"user_types\": {\"a\": {}}} x", "follows the end" },
	};
	char deep[4096];

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		CLEANUP(release) struct type_file file;
		struct kioku_error error = { 0 };
		CHECK(read_bytes(cases[i].text, strlen(cases[i].text), true, &file, &error) !=
		      KIOKU_OK);
		CHECK_SAYS(error.message, cases[i].says);
	}
	CLEANUP(release) struct type_file file;
	struct kioku_error error = { 0 };
	size_t start = (size_t)snprintf(deep, sizeof(deep), "{\"user_types\": {}, \"x\": ");
	memset(deep + start, '[', sizeof(deep) - start);
	CHECK(read_bytes(deep, sizeof(deep), true, &file, &error) != KIOKU_OK);
	CHECK_SAYS(error.message, "nested");
}

/* What is absurd costs itself, and is said. */
static void survives_absurd_isf(void)
{
	static const char text[] =
		"{\"base_types\": {\"int\": {\"size\": 4, \"signed\": true, \"kind\": \"int\"}},"
		"\"user_types\": {\"huge\": {\"size\": 18446744073709551615, \"fields\": {}},"
		"\"far\": {\"size\": 8, \"kind\": \"struct\", \"fields\": {\"away\":"
		" {\"offset\": 18446744073709551615, \"type\": {\"kind\": \"base\", \"name\": "
		"\"int\"}},"
		"\"many\": {\"offset\": 0, \"type\": {\"kind\": \"array\", \"count\": "
		"18446744073709551615,"
		" \"subtype\": {\"kind\": \"base\", \"name\": \"int\"}}},"
		"\"here\": {\"offset\": 4, \"type\": {\"kind\": \"base\", \"name\": \"int\"}}}},"
		"\"far\": {\"size\": 16, \"kind\": \"struct\", \"fields\": {}}}}";
	CLEANUP(release) struct type_file file;
	struct kioku_member member;
	uint32_t id;

	CHECK_EQUAL(read_bytes(text, strlen(text), true, &file, NULL), KIOKU_OK);
	CHECK_SAYS(file.flaw, "huge");
	CHECK_EQUAL(types_size_of(file.types, "struct far"), 8);
	CHECK_EQUAL(kioku_types_find(file.types, "struct far", &id, NULL), KIOKU_OK);
	CHECK_EQUAL(kioku_type_member(file.types, id, "here", &member, NULL), KIOKU_OK);
	CHECK_EQUAL(member.bit_offset, 32);
	CHECK_EQUAL(kioku_type_member(file.types, id, "away", &member, NULL),
		    KIOKU_ERROR_NOT_FOUND);
}

static void reads_maps(void)
{
	static const char text[] = "ffffffff82161900 D linux_banner\n"
				   "0000000000001000 A cpu_number\n"
				   "ffffffff81000000 T _text\n"
				   "ffffffffc0000000 t helper\t[some_module]\n";
	CLEANUP(release) struct type_file file;
	struct kioku_symbol symbol;

	CHECK_EQUAL(read_bytes(text, strlen(text), false, &file, NULL), KIOKU_OK);
	CHECK_EQUAL(kioku_symbols_count(file.symbols), 3);
	CHECK_EQUAL(symbols_base(file.symbols), 0xffffffff81000000);
	CHECK(symbols_is_absolute(file.symbols, 0));
	CHECK(!symbols_is_absolute(file.symbols, 1));
	CHECK_EQUAL(kioku_symbols_find(file.symbols, "helper", &symbol, NULL),
		    KIOKU_ERROR_NOT_FOUND);
	CHECK_EQUAL(kioku_symbols_get(file.symbols, 2).type, 'D');

	static const char *const bad[][2] = {
		{ "ffffffff81000000 T _text\nffffffff81000000 T\n", "line 2" },
		{ "0000000000000000 T _text\n", "all addresses are 0" },
		{ "root:x:0:0:root:/root:/bin/bash\n", "no System.map" },
	};
	for (size_t i = 0; i < 3; i++) {
		CLEANUP(release) struct type_file other;
		struct kioku_error error = { 0 };
		CHECK(read_bytes(bad[i][0], strlen(bad[i][0]), false, &other, &error) != KIOKU_OK);
		CHECK_SAYS(error.message, bad[i][1]);
	}
}

static void reads_btf(void)
{
	CLEANUP(release) struct type_file file;
	struct kioku_error error = { 0 };
	struct btf btf = { 0 };
	size_t size;

	btf_layout(&btf, "struct task_struct 64 pid u32@8 comm char[16]@40");
	AUTO_FREE void *data = assemble(&btf, &size);
	CHECK_EQUAL(read_bytes(data, size, true, &file, &error), KIOKU_OK);
	CHECK_EQUAL(place_of(file.types, "comm"), 40);
	btf_release(&btf);
}

/* A header of another machine, and one of this one's without anything in it. */
static void refuses_other_machines(void)
{
	CLEANUP(release) struct type_file file;
	struct kioku_error error = { 0 };
	uint8_t elf[64] = { 0x7f, 'E', 'L', 'F', 2, 1, 1 };

	elf[16] = ET_EXEC;
	elf[18] = EM_AARCH64;
	elf[20] = 1;
	CHECK_EQUAL(read_bytes(elf, sizeof(elf), true, &file, &error), KIOKU_ERROR_REFUSED);
	CHECK_SAYS(error.message, "another architecture");
	elf[18] = EM_X86_64;
	CHECK_EQUAL(read_bytes(elf, sizeof(elf), true, &file, &error), KIOKU_ERROR_CORRUPT);
}

static void write_file(const char *path, const void *data, size_t size)
{
	AUTO_CLOSE int descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	CHECK(descriptor >= 0 && write(descriptor, data, size) == (ssize_t)size);
}

static void unpacks(void)
{
	char path[] = "/tmp/kioku-types-XXXXXX";
	AUTO_TYPE_FILE struct type_file *file = NULL;
	struct kioku_error error = { 0 };
	uint8_t packed[4096];
	z_stream stream = { .next_in = (uint8_t *)isf,
			    .avail_in = sizeof(isf) - 1,
			    .next_out = packed,
			    .avail_out = sizeof(packed) };
	int descriptor = mkstemp(path);

	CHECK(descriptor >= 0);
	close(descriptor);
	CHECK(deflateInit2(&stream, 9, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
	CHECK(deflate(&stream, Z_FINISH) == Z_STREAM_END);
	deflateEnd(&stream);
	size_t size = sizeof(packed) - stream.avail_out;
	write_file(path, packed, size);
	enum kioku_status status = type_file_open(path, &file, &error);
	CHECK_EQUAL(status, KIOKU_OK);
	CHECK_EQUAL(place_of(file->types, "comm"), 40);
	struct type_file *cut = NULL;
	write_file(path, packed, size / 2);
	status = type_file_open(path, &cut, &error);
	unlink(path);
	CHECK_EQUAL(status, KIOKU_ERROR_CORRUPT);
	CHECK_SAYS(error.message, "cut off");
	CHECK_EQUAL(type_file_open(path, &cut, &error), KIOKU_ERROR_OS);
}

static bool agrees(const char *known, const char *other, char *difference, size_t size)
{
	struct btf first = { 0 }, second = { 0 };

	btf_layout(&first, known);
	btf_layout(&second, other);
	AUTO_TYPES struct kioku_types *a = open_btf(&first), *b = open_btf(&second);
	CHECK(a && b);
	bool result = layouts_agree(a, b, difference, size);
	btf_release(&first);
	btf_release(&second);
	return result;
}

static void compares_layouts(void)
{
	const char *task = "struct task_struct 64 pid u32@8 comm char[16]@40";
	char text[128];

	CHECK(agrees(task, task, text, sizeof(text)));
	CHECK(agrees(task, "struct task_struct 64 comm char[16]@40", text, sizeof(text)));
	CHECK(!agrees(task, "struct task_struct 72 pid u32@8 comm char[16]@40", text,
		      sizeof(text)));
	CHECK_SAYS(text, "64 bytes, not 72");
	CHECK(!agrees(task, "struct task_struct 64 pid u32@12 comm char[16]@40", text,
		      sizeof(text)));
	CHECK_SAYS(text, "task_struct.pid is at bit 64, not 96");
}

TAP_MAIN(TEST(reads_isf), TEST(refuses_hostile_isf), TEST(survives_absurd_isf), TEST(reads_maps),
	 TEST(reads_btf), TEST(refuses_other_machines), TEST(unpacks), TEST(compares_layouts))
