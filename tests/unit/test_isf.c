/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Symbol tables for volatility3, of types and symbols that are made here, read back by json-c. */
#include <errno.h>
#include <json-c/json.h>

#include <kioku/isf.h>

#include "test_kernel.h"
#include "type/isf_names.h"
#ifdef HAVE_LZMA
#include <lzma.h>
#endif

/* Follows a path of keys that ends in NULL; a key that is not there ends the test. */
static struct json_object *at(struct json_object *object, ...)
{
	va_list keys;
	const char *key;

	va_start(keys, object);
	while ((key = va_arg(keys, const char *))) {
		struct json_object *next = NULL;
		if (!json_object_object_get_ex(object, key, &next))
			tap_fail(__FILE__, __LINE__, "there is no \"%s\"", key);
		object = next;
	}
	va_end(keys);
	return object;
}

static bool has(struct json_object *object, const char *key)
{
	return json_object_object_get_ex(object, key, NULL);
}

static void check_text(const char *file, int line, struct json_object *object, const char *expected)
{
	const char *text = json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN);

	if (strcmp(text, expected) != 0)
		tap_fail(file, line, "%s and not %s", text, expected);
}
#define CHECK_JSON(object, expected) check_text(__FILE__, __LINE__, object, expected)

#define BASE(name)                   "{\"kind\":\"base\",\"name\":\"" name "\"}"

struct written {
	struct json_object *root;
	uint64_t lost;
};

/* What becomes of types, which are released by the caller of json_object_put(). */
static struct written write_types(const struct btf *btf)
{
	AUTO_TYPES struct kioku_types *types = open_btf(btf);
	AUTO_ISF_TYPES struct isf_names *isf = NULL;
	struct written written;
	char *text = NULL;
	size_t size;

	CHECK(types);
	CHECK_EQUAL(isf_names_open(types, &isf, NULL), KIOKU_OK);
	struct json_writer json = { .out = open_memstream(&text, &size) };
	CHECK(json.out);
	json_begin_object(&json, NULL);
	isf_names_write(isf, &json);
	json_end_object(&json);
	fclose(json.out);
	written.root = json_tokener_parse(text);
	CHECK(written.root);
	written.lost = isf_names_lost(isf);
	free(text);
	return written;
}

/* A pointer to functions, an array of them, bit fields, and a union in a struct without names. */
static void writes_members(void)
{
	struct btf btf = { 0 };
	uint32_t number = integer(&btf, "unsigned int", 4, 0);
	uint32_t byte = integer(&btf, "unsigned char", 1, 0);
	uint32_t prototype = type(&btf, KIOKU_TYPE_FUNCTION_PROTOTYPE, "", 0, false, number);
	uint32_t call = type(&btf, KIOKU_TYPE_POINTER, "", 0, false, prototype);
	uint32_t calls = array(&btf, call, 3);
	uint32_t either = type(&btf, KIOKU_TYPE_UNION, "", 2, false, 8);
	member(&btf, "low", number, 0);
	member(&btf, "call", call, 0);
	uint32_t inner = type(&btf, KIOKU_TYPE_STRUCT, "", 2, false, 16);
	member(&btf, "", either, 0);
	member(&btf, "last", number, 64);
	uint32_t constant = type(&btf, KIOKU_TYPE_CONST, "", 0, false, byte);
	uint32_t alias = type(&btf, KIOKU_TYPE_TYPEDEF, "u8", 0, false, constant);
	type(&btf, KIOKU_TYPE_STRUCT, "outer", 6, true, 56);
	member(&btf, "", inner, 8 * 8);
	member(&btf, "calls", calls, 24 * 8);
	member(&btf, "first", number, 0 | 3u << 24);
	member(&btf, "second", number, 35 | 29u << 24);
	member(&btf, "third", alias, 406 | 2u << 24);
	member(&btf, "plain", alias, 48 * 8);
	struct written written = write_types(&btf);
	struct json_object *types = at(written.root, "user_types", NULL);
	struct json_object *outer = at(types, "outer", "fields", NULL);

	CHECK_EQUAL(written.lost, 0);
	CHECK_EQUAL(json_object_get_int(at(types, "outer", "size", NULL)), 56);
	CHECK_JSON(at(outer, "calls", NULL),
		   "{\"type\":{\"kind\":\"array\",\"count\":3,\"subtype\":{\"kind\":\"pointer\","
		   "\"subtype\":{\"kind\":\"function\"}}},\"offset\":24}");
	CHECK_JSON(at(outer, "first", NULL),
		   "{\"type\":{\"kind\":\"bitfield\",\"bit_position\":0,\"bit_length\":3,"
		   "\"type\":" BASE("unsigned int") "},\"offset\":0}");
	CHECK_JSON(at(outer, "second", NULL),
		   "{\"type\":{\"kind\":\"bitfield\",\"bit_position\":3,\"bit_length\":29,"
		   "\"type\":" BASE("unsigned int") "},\"offset\":4}");
	CHECK_JSON(at(outer, "third", NULL),
		   "{\"type\":{\"kind\":\"bitfield\",\"bit_position\":6,\"bit_length\":2,"
		   "\"type\":" BASE("unsigned char") "},\"offset\":50}");
	CHECK_JSON(at(outer, "plain", NULL), "{\"type\":" BASE("unsigned char") ",\"offset\":48}");
	CHECK_JSON(at(outer, "unnamed_field_0", NULL),
		   "{\"type\":{\"kind\":\"struct\",\"name\":\"unnamed.7\"},\"offset\":8,"
		   "\"anonymous\":true}");
	CHECK_JSON(at(types, "unnamed.7", "fields", "unnamed_field_0", NULL),
		   "{\"type\":{\"kind\":\"union\",\"name\":\"unnamed.6\"},\"offset\":0,"
		   "\"anonymous\":true}");
	CHECK_JSON(at(types, "unnamed.6", NULL),
		   "{\"kind\":\"union\",\"size\":8,\"fields\":{\"low\":{\"type\":" BASE(
			   "unsigned int") ",\"offset\":0},\"call\":{\"type\":{\"kind\":"
					   "\"pointer\",\"subtype\":{\"kind\":"
					   "\"function\"}},\"offset\":0}}}");
	json_object_put(written.root);
}

/* A packed struct: the unit of a bit field would end outside of it, or the field in the next unit. */
static void reads_packed_bit_fields(void)
{
	struct btf btf = { 0 };
	uint32_t number = integer(&btf, "unsigned int", 4, 0);
	type(&btf, KIOKU_TYPE_STRUCT, "packed", 3, true, 6);
	member(&btf, "across", number, 28 | 8u << 24);
	member(&btf, "late", number, 40 | 4u << 24);
	member(&btf, "absurd", number, 0 | 33u << 24);
	struct written written = write_types(&btf);
	struct json_object *fields = at(written.root, "user_types", "packed", "fields", NULL);

	CHECK_EQUAL(json_object_get_int(at(fields, "across", "offset", NULL)), 3);
	CHECK_EQUAL(json_object_get_int(at(fields, "across", "type", "bit_position", NULL)), 4);
	CHECK_EQUAL(json_object_get_int(at(fields, "late", "offset", NULL)), 5);
	CHECK_EQUAL(json_object_get_int(at(fields, "late", "type", "bit_position", NULL)), 0);
	CHECK(!has(fields, "absurd"));
	CHECK_EQUAL(written.lost, 1);
	json_object_put(written.root);
}

static void writes_base_types(void)
{
	struct btf btf = { 0 };
	integer(&btf, "_Bool", 1, 4);
	integer(&btf, "char", 1, 1);
	integer(&btf, "char", 1, 1);
	integer(&btf, "int", 2, 1); /* no C that is known, but what this kernel says */
	uint32_t other = integer(&btf, "int", 8, 1);
	uint32_t pointer = integer(&btf, "pointer", 2, 0);
	type(&btf, KIOKU_TYPE_FLOAT, "double", 0, false, 8);
	type(&btf, KIOKU_TYPE_STRUCT, "both", 2, false, 16);
	member(&btf, "a", other, 0);
	member(&btf, "b", pointer, 64);
	struct written written = write_types(&btf);
	struct json_object *bases = at(written.root, "base_types", NULL);
	struct json_object *fields = at(written.root, "user_types", "both", "fields", NULL);

	CHECK_JSON(at(bases, "_Bool", NULL),
		   "{\"size\":1,\"signed\":false,\"kind\":\"bool\",\"endian\":\"little\"}");
	CHECK_JSON(at(bases, "char", NULL),
		   "{\"size\":1,\"signed\":true,\"kind\":\"char\",\"endian\":\"little\"}");
	CHECK_JSON(at(bases, "int", NULL),
		   "{\"size\":2,\"signed\":true,\"kind\":\"int\",\"endian\":\"little\"}");
	CHECK_JSON(at(bases, "double", NULL),
		   "{\"size\":8,\"signed\":true,\"kind\":\"float\",\"endian\":\"little\"}");
	CHECK_JSON(at(bases, "void", NULL),
		   "{\"size\":0,\"signed\":false,\"kind\":\"void\",\"endian\":\"little\"}");
	CHECK_JSON(at(bases, "pointer", NULL),
		   "{\"size\":8,\"signed\":false,\"kind\":\"int\",\"endian\":\"little\"}");
	CHECK_JSON(at(bases, "long unsigned int", NULL),
		   "{\"size\":8,\"signed\":false,\"kind\":\"int\",\"endian\":\"little\"}");
	CHECK_JSON(at(fields, "a", "type", NULL), BASE("int.5"));
	CHECK_JSON(at(fields, "b", "type", NULL), BASE("unnamed.6"));
	CHECK_EQUAL(json_object_get_int(at(bases, "int.5", "size", NULL)), 8);
	CHECK_EQUAL(json_object_get_int(at(bases, "unnamed.6", "size", NULL)), 2);
	json_object_put(written.root);
}

static void constant(struct btf *btf, const char *name, uint64_t value, bool wide)
{
	put32(btf, string(btf, name));
	put32(btf, (uint32_t)value);
	if (wide)
		put32(btf, (uint32_t)(value >> 32));
}

static void writes_enumerations(void)
{
	struct btf btf = { 0 };
	type(&btf, KIOKU_TYPE_ENUM, "small", 2, false, 4);
	constant(&btf, "LOW", 1, false);
	constant(&btf, "HIGH", 0xffffffff, false);
	type(&btf, KIOKU_TYPE_ENUM, "error", 1, true, 4);
	constant(&btf, "FAILED", (uint32_t)-22, false);
	type(&btf, KIOKU_TYPE_ENUM64, "wide", 1, false, 8);
	constant(&btf, "TOP", 1ull << 63, true);
	type(&btf, KIOKU_TYPE_ENUM64, "wide", 1, true, 8); /* of the same name */
	constant(&btf, "BELOW", (uint64_t)-2, true);
	type(&btf, KIOKU_TYPE_ENUM, "", 1, false, 1);
	constant(&btf, "ONLY", 7, false);
	struct written written = write_types(&btf);
	struct json_object *enums = at(written.root, "enums", NULL);

	CHECK_JSON(at(enums, "small", NULL),
		   "{\"size\":4,\"base\":\"unsigned "
		   "int\",\"constants\":{\"LOW\":1,\"HIGH\":4294967295}}");
	CHECK_JSON(at(enums, "error", NULL),
		   "{\"size\":4,\"base\":\"int\",\"constants\":{\"FAILED\":-22}}");
	CHECK_JSON(at(enums, "wide", NULL), "{\"size\":8,\"base\":\"long unsigned "
					    "int\",\"constants\":{\"TOP\":9223372036854775808}}");
	CHECK_JSON(at(enums, "wide.4", NULL),
		   "{\"size\":8,\"base\":\"long int\",\"constants\":{\"BELOW\":-2}}");
	CHECK_JSON(at(enums, "unnamed.5", NULL),
		   "{\"size\":1,\"base\":\"unsigned char\",\"constants\":{\"ONLY\":7}}");
	json_object_put(written.root);
}

/* BTF before v6.0 does not say whether an enumeration has a sign. */
static void writes_old_enumerations(void)
{
	struct btf btf = { 0 };
	type(&btf, KIOKU_TYPE_ENUM, "signs", 2, false, 4);
	constant(&btf, "MINUS", (uint32_t)-1, false);
	constant(&btf, "PLUS", 1, false);
	type(&btf, KIOKU_TYPE_ENUM, "counts", 1, false, 4);
	constant(&btf, "ONE", 1, false);
	struct written written = write_types(&btf);
	struct json_object *enums = at(written.root, "enums", NULL);

	CHECK_JSON(at(enums, "signs", NULL),
		   "{\"size\":4,\"base\":\"int\",\"constants\":{\"MINUS\":-1,\"PLUS\":1}}");
	CHECK_JSON(at(enums, "counts", "base", NULL), "\"unsigned int\"");
	json_object_put(written.root);
}

/* What several types are called, typedefs, and what is only declared. */
static void tells_names_apart(void)
{
	struct btf btf = { 0 };
	uint32_t number = integer(&btf, "int", 4, 1);
	uint32_t first = type(&btf, KIOKU_TYPE_STRUCT, "twice", 1, false, 4);
	member(&btf, "a", number, 0);
	uint32_t second = type(&btf, KIOKU_TYPE_STRUCT, "twice", 1, false, 8);
	member(&btf, "b", number, 32);
	uint32_t nameless = type(&btf, KIOKU_TYPE_STRUCT, "", 1, false, 4);
	member(&btf, "counter", number, 0);
	uint32_t atomic = type(&btf, KIOKU_TYPE_TYPEDEF, "atomic_t", 0, false, nameless);
	uint32_t alias = type(&btf, KIOKU_TYPE_TYPEDEF, "twice_t", 0, false, second);
	uint32_t hidden = type(&btf, KIOKU_TYPE_TYPEDEF, "twice", 0, false, nameless);
	uint32_t declared = type(&btf, KIOKU_TYPE_FORWARD, "twice", 0, false, 0);
	uint32_t once = type(&btf, KIOKU_TYPE_FORWARD, "holder", 0, false, 0);
	uint32_t never = type(&btf, KIOKU_TYPE_FORWARD, "never", 0, false, 0);
	uint32_t either = type(&btf, KIOKU_TYPE_FORWARD, "holder", 0, true, 0);
	const uint32_t targets[] = { first, second,   atomic, alias, hidden,
				     once,  declared, never,  either };
	static const char *const expected[] = {
		"{\"kind\":\"struct\",\"name\":\"twice\"}",
		"{\"kind\":\"struct\",\"name\":\"twice.3\"}",
		"{\"kind\":\"struct\",\"name\":\"atomic_t\"}",
		"{\"kind\":\"struct\",\"name\":\"twice_t\"}",
		"{\"kind\":\"struct\",\"name\":\"unnamed.4\"}",
		"{\"kind\":\"struct\",\"name\":\"holder\"}",
		BASE("void"), /* which of the two is not known */
		BASE("void"),
		BASE("void"), /* a union of that name is not defined */
	};
	enum { TARGETS = sizeof(targets) / sizeof(*targets) };
	uint32_t pointers[TARGETS];
	char name[8];

	for (size_t i = 0; i < TARGETS; i++)
		pointers[i] = type(&btf, KIOKU_TYPE_POINTER, "", 0, false, targets[i]);
	type(&btf, KIOKU_TYPE_STRUCT, "holder", TARGETS, false, 8 * TARGETS);
	for (uint32_t i = 0; i < TARGETS; i++) {
		snprintf(name, sizeof(name), "p%u", i);
		member(&btf, name, pointers[i], 64 * i);
	}
	struct written written = write_types(&btf);
	struct json_object *types = at(written.root, "user_types", NULL);
	for (size_t i = 0; i < TARGETS; i++) {
		snprintf(name, sizeof(name), "p%zu", i);
		CHECK_JSON(at(types, "holder", "fields", name, "type", "subtype", NULL),
			   expected[i]);
	}
	CHECK(has(at(types, "twice", "fields", NULL), "a"));
	CHECK(has(at(types, "twice.3", "fields", NULL), "b"));
	CHECK(has(at(types, "twice_t", "fields", NULL), "b"));
	CHECK(has(at(types, "atomic_t", "fields", NULL), "counter"));
	CHECK_EQUAL(json_object_object_length(types), 6);
	json_object_put(written.root);
}

/* Types that lead to themselves end, and names that C does not have are not written. */
static void survives_endless_types(void)
{
	struct btf btf = { 0 };
	uint32_t number = integer(&btf, "int", 4, 1);
	uint32_t circle = type(&btf, KIOKU_TYPE_TYPEDEF, "circle", 0, false, 3);
	type(&btf, KIOKU_TYPE_CONST, "", 0, false, 2);
	uint32_t pointer = type(&btf, KIOKU_TYPE_POINTER, "", 0, false, 4);
	type(&btf, KIOKU_TYPE_ARRAY, "", 0, false, 0);
	put32(&btf, 5);
	put32(&btf, 1);
	put32(&btf, 2);
	type(&btf, KIOKU_TYPE_STRUCT, "", 2, false, 8); /* 6, in itself */
	member(&btf, "", 6, 0);
	member(&btf, "kept", number, 0);
	type(&btf, KIOKU_TYPE_STRUCT, "victim", 8, false, 64);
	member(&btf, "circle", circle, 0);
	member(&btf, "pointer", pointer, 64);
	member(&btf, "array", 5, 128);
	member(&btf, "", 6, 192);
	member(&btf, "none", 12345, 256);
	member(&btf, "a\"b", number, 320);
	member(&btf, "odd", number, 321);
	member(&btf, "", number, 352);
	type(&btf, KIOKU_TYPE_STRUCT, "not a name\\", 0, false, 4);
	struct written written = write_types(&btf);
	struct json_object *types = at(written.root, "user_types", NULL);
	struct json_object *fields = at(types, "victim", "fields", NULL);

	CHECK_JSON(at(fields, "circle", "type", NULL), BASE("void"));
	CHECK_JSON(at(fields, "none", "type", NULL), BASE("void"));
	CHECK_JSON(at(fields, "pointer", "type", "kind", NULL), "\"pointer\"");
	CHECK_JSON(at(fields, "array", "type", "kind", NULL), "\"array\"");
	CHECK_EQUAL(json_object_object_length(fields), 4);
	CHECK_JSON(at(types, "unnamed.6", "fields", NULL),
		   "{\"kept\":{\"type\":" BASE("int") ",\"offset\":0}}");
	CHECK(has(types, "unnamed.8"));
	CHECK_EQUAL(written.lost, 5);
	json_object_put(written.root);
}

/* Each of these has the one before twice: unfolded, the last would have 2^29 members. */
static void survives_many_anonymous_members(void)
{
	struct btf btf = { 0 };
	uint32_t number = integer(&btf, "int", 4, 1);
	uint32_t last = type(&btf, KIOKU_TYPE_STRUCT, "", 1, false, 0);
	member(&btf, "x", number, 0);

	for (unsigned i = 0; i < 29; i++) {
		uint32_t next = type(&btf, KIOKU_TYPE_STRUCT, "", 2, false, 0);
		member(&btf, "", last, 0);
		member(&btf, "", last, 0);
		last = next;
	}
	type(&btf, KIOKU_TYPE_STRUCT, "whole", 1, false, 0);
	member(&btf, "", last, 0);
	struct written written = write_types(&btf);

	CHECK(written.lost > 0);
	CHECK_EQUAL(
		json_object_object_length(at(written.root, "user_types", "whole", "fields", NULL)),
		0);
	json_object_put(written.root);
}

/* --- the whole file */

#define KERNEL_SHIFT 0x25600000ull
#define BANNER       "Linux version 6.1.0-test (a@b) #1"

struct text {
	uint8_t *data;
	size_t size;
	size_t limit; /* after which nothing is taken; 0: none */
};

static bool take(void *user, const void *data, size_t size)
{
	struct text *text = user;

	if (text->limit && text->size + size > text->limit) {
		errno = ENOSPC;
		return false;
	}
	text->data = realloc(text->data, text->size + size + 1);
	CHECK(text->data);
	memcpy(text->data + text->size, data, size);
	text->size += size;
	text->data[text->size] = 0;
	return true;
}

static void add_symbol(struct symbol_builder *builder, const char *name, uint64_t address,
		       char letter, bool absolute)
{
	size_t size = strlen(name);
	char *text = symbol_builder_text(builder, size + 1);

	CHECK(text);
	memcpy(text, name, size + 1);
	symbol_builder_add(builder, address, letter, absolute, 0, size);
	symbol_builder_commit(builder, size + 1);
}

/* Where symbols are: MADE_BASE takes the place of the kernel's image. */
static void open_kernel(struct made *made)
{
	struct symbol_builder builder = { 0 };

	made_open(made, "struct list_head 16 next u64@0 prev u64@8\n"
			"struct kset 8 list u64@0\n"
			"struct task_struct 64 pid s32@0\n"
			"struct rq 32 nr u32@0\n");
	struct btf *btf = &made->btf;
	uint32_t rq = layout_type(btf, "rq");
	uint32_t queues = type(btf, KIOKU_TYPE_VARIABLE, "runqueues", 0, false, rq);
	put32(btf, 0);
	uint32_t elsewhere = type(btf, KIOKU_TYPE_VARIABLE, "moved", 0, false, rq);
	put32(btf, 0);
	type(btf, KIOKU_TYPE_DATA_SECTION, ".data..percpu", 2, false, 0x200);
	put32(btf, queues);
	put32(btf, 0x100);
	put32(btf, 32);
	put32(btf, elsewhere);
	put32(btf, 0x140);
	put32(btf, 32);
	types_close(made->kernel.types);
	made->kernel.types = open_btf(btf);
	CHECK(made->kernel.types);
	CHECK(symbol_builder_begin(&builder, 32));
	add_symbol(&builder, "__per_cpu_start", 0, 'A', true);
	add_symbol(&builder, "runqueues", 0x100, 'A', true);
	add_symbol(&builder, "moved", 0x180, 'A', true);
	add_symbol(&builder, "_text", MADE_BASE, 'T', false);
	add_symbol(&builder, "same", MADE_BASE + 0x100, 't', false);
	add_symbol(&builder, "same", MADE_BASE + 0x200, 't', false);
	add_symbol(&builder, "one", MADE_BASE + 0x300, 'T', false);
	add_symbol(&builder, "one", MADE_BASE + 0x400, 't', false);
	add_symbol(&builder, "a\"b", MADE_BASE + 0x500, 't', false);
	add_symbol(&builder, "linux_banner", MADE_BASE + 0x600, 'D', false);
	add_symbol(&builder, "modules", MADE_BASE + 0x700, 'd', false);
	add_symbol(&builder, "modules", MADE_BASE + 0x740, 'd', false);
	add_symbol(&builder, "module_kset", MADE_BASE + 0x800, 'D', false);
	add_symbol(&builder, "tty_drivers", MADE_BASE + 0x840, 'd', false);
	add_symbol(&builder, "init_task", MADE_BASE + 0x848, 'D', false);
	add_symbol(&builder, "cap_last_cap", MADE_BASE + 0x888, 'd', false);
	add_symbol(&builder, "_end", MADE_BASE + 0x900, 'D', false);
	CHECK_EQUAL(symbol_builder_finish(&builder, &made->kernel.symbols, NULL), KIOKU_OK);
	made->kernel.image.start = MADE_BASE;
	made->kernel.banner = (char *)BANNER;
	made->kernel.banner_virtual = MADE_BASE + 0x600;
	memcpy(made_memory(made, MADE_BASE + 0x600), BANNER "\n", sizeof(BANNER "\n"));
	made->kernel.vmcoreinfo_size =
		(size_t)snprintf(made->kernel.vmcoreinfo, sizeof(made->kernel.vmcoreinfo),
				 "OSRELEASE=6.1\nKERNELOFFSET=%llx\n", KERNEL_SHIFT);
}

static uint64_t address_of(struct json_object *symbols, const char *name)
{
	return json_object_get_uint64(at(symbols, name, "address", NULL));
}

static void writes_symbols(void)
{
	struct made made;
	struct text text = { 0 };

	open_kernel(&made);
	CHECK_EQUAL(kioku_kernel_export_isf(&made.kernel, NULL, take, &text, NULL), KIOKU_OK);
	struct json_object *root = json_tokener_parse((const char *)text.data);
	CHECK(root);
	struct json_object *symbols = at(root, "symbols", NULL);
	uint64_t base = MADE_BASE - KERNEL_SHIFT;
	CHECK_EQUAL(address_of(symbols, "_text"), base);
	CHECK_EQUAL(address_of(symbols, "runqueues"), 0x100);
	CHECK_EQUAL(address_of(symbols, "same"), base + 0x200);
	CHECK_EQUAL(address_of(symbols, "one"), base + 0x300);
	CHECK_JSON(at(symbols, "runqueues", "type", NULL), "{\"kind\":\"struct\",\"name\":\"rq\"}");
	/* BTF has it elsewhere: it is another one. */
	CHECK_JSON(at(symbols, "moved", "type", NULL), BASE("void"));
	CHECK_JSON(at(symbols, "_text", "type", NULL), BASE("void"));
	CHECK_JSON(at(symbols, "modules", "type", NULL), BASE("void")); /* two of the name */
	CHECK_JSON(at(symbols, "module_kset", "type", NULL),
		   "{\"kind\":\"pointer\",\"subtype\":{\"kind\":\"struct\",\"name\":\"kset\"}}");
	CHECK_JSON(at(symbols, "tty_drivers", "type", NULL), BASE("void")); /* no room */
	CHECK_JSON(at(symbols, "init_task", "type", NULL),
		   "{\"kind\":\"struct\",\"name\":\"task_struct\"}");
	CHECK_JSON(at(symbols, "cap_last_cap", "type", NULL), BASE("int"));
	CHECK_JSON(at(symbols, "linux_banner", "constant_data", NULL),
		   "\"TGludXggdmVyc2lvbiA2LjEuMC10ZXN0IChhQGIpICMxCgA=\"");
	CHECK_EQUAL(json_object_object_length(symbols), 13);
	CHECK_EQUAL(made.gaps, 1);
	CHECK_SAYS(made.last, "1 symbols are left out");
	CHECK_JSON(at(root, "metadata", "format", NULL), "\"6.2.0\"");
	CHECK_JSON(at(root, "metadata", "producer", "name", NULL), "\"kioku\"");
	json_object_put(root);
	free(text.data);
	made.kernel.banner = NULL;
	made_close(&made);
}

/* Without symbols or a link address there is what is known; without types, nothing. */
static void says_what_is_missing(void)
{
	struct made made;
	struct text text = { 0 };
	struct kioku_error error;

	open_kernel(&made);
	made.kernel.vmcoreinfo_size = 0;
	CHECK_EQUAL(kioku_kernel_export_isf(&made.kernel, NULL, take, &text, NULL), KIOKU_OK);
	struct json_object *root = json_tokener_parse((const char *)text.data);
	CHECK_EQUAL(address_of(at(root, "symbols", NULL), "_text"), MADE_BASE);
	json_object_put(root);
	text.size = 0;
	symbols_close(made.kernel.symbols);
	made.kernel.symbols = NULL;
	made.gaps = 0;
	CHECK_EQUAL(kioku_kernel_export_isf(&made.kernel, NULL, take, &text, NULL), KIOKU_OK);
	CHECK_EQUAL(made.gaps, 1);
	root = json_tokener_parse((const char *)text.data);
	CHECK_EQUAL(json_object_object_length(at(root, "symbols", NULL)), 1);
	CHECK_EQUAL(address_of(at(root, "symbols", NULL), "linux_banner"), MADE_BASE + 0x600);
	json_object_put(root);
	text.limit = text.size / 2;
	text.size = 0;
	CHECK_EQUAL(kioku_kernel_export_isf(&made.kernel, NULL, take, &text, &error),
		    KIOKU_ERROR_OS);
	CHECK_SAYS(error.message, "No space left");
	types_close(made.kernel.types);
	made.kernel.types = NULL;
	CHECK_EQUAL(kioku_kernel_export_isf(&made.kernel, NULL, take, &text, &error),
		    KIOKU_ERROR_UNSUPPORTED);
	CHECK_SAYS(error.message, "needs types");
	free(text.data);
	made_close(&made);
}

static void compresses(void)
{
	const struct kioku_isf_options options = { .size = sizeof(options), .compressed = true };
	struct text text = { 0 };
	struct made made;
	struct kioku_error error;

	open_kernel(&made);
	enum kioku_status status =
		kioku_kernel_export_isf(&made.kernel, &options, take, &text, &error);
#ifdef HAVE_LZMA
	uint64_t memory = 1 << 26;
	size_t in = 0, out = 0;
	uint8_t *plain = calloc(1, 1 << 20);
	CHECK_EQUAL(status, KIOKU_OK);
	CHECK_EQUAL(lzma_stream_buffer_decode(&memory, 0, NULL, text.data, &in, text.size, plain,
					      &out, (1 << 20) - 1),
		    LZMA_OK);
	struct json_object *root = json_tokener_parse((const char *)plain);
	CHECK(root);
	CHECK(has(at(root, "symbols", NULL), "init_task"));
	json_object_put(root);
	free(plain);
	text.limit = 40; /* the disk is full */
	text.size = 0;
	CHECK_EQUAL(kioku_kernel_export_isf(&made.kernel, &options, take, &text, &error),
		    KIOKU_ERROR_OS);
#else
	CHECK_EQUAL(status, KIOKU_ERROR_UNSUPPORTED);
	CHECK_SAYS(error.message, "no liblzma");
#endif
	free(text.data);
	made_close(&made);
}

TAP_MAIN(TEST(writes_members), TEST(reads_packed_bit_fields), TEST(writes_base_types),
	 TEST(writes_enumerations), TEST(writes_old_enumerations), TEST(tells_names_apart),
	 TEST(survives_endless_types), TEST(survives_many_anonymous_members), TEST(writes_symbols),
	 TEST(says_what_is_missing), TEST(compresses))
