/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Records against types that the test writes as BTF, byte by byte. */
#include "kernel/record.h"
#include "test_machine.h"

/* Type numbers of the BTF below. */
enum { INT = 1, UNSIGNED, LONG, CHAR, WRAPPED, ALIAS, BIG, NAME, TASK };

struct btf {
	uint8_t data[4096];
	size_t size;
	char strings[1024];
	size_t strings_size;
};

static void put32(struct btf *btf, uint32_t value)
{
	for (unsigned i = 0; i < 4; i++)
		btf->data[btf->size++] = (uint8_t)(value >> 8 * i);
}

static uint32_t string(struct btf *btf, const char *text)
{
	uint32_t at = (uint32_t)btf->strings_size;

	memcpy(btf->strings + at, text, strlen(text) + 1);
	btf->strings_size += strlen(text) + 1;
	return at;
}

static void put_type(struct btf *btf, const char *name, unsigned kind, unsigned members, bool flag,
		     uint32_t size_or_type)
{
	put32(btf, string(btf, name));
	put32(btf, kind << 24 | members | (uint32_t)flag << 31);
	put32(btf, size_or_type);
}

static void put_int(struct btf *btf, const char *name, uint32_t bytes, bool is_signed)
{
	put_type(btf, name, KIOKU_TYPE_INT, 0, false, bytes);
	put32(btf, (uint32_t)is_signed << 24 | bytes * 8);
}

static void put_member(struct btf *btf, const char *name, uint32_t type, uint32_t bits_at)
{
	put32(btf, string(btf, name));
	put32(btf, type);
	put32(btf, bits_at);
}

static struct kioku_types *make_types(void)
{
	struct btf btf = { .size = 24, .strings_size = 1 };
	struct kioku_types *types;

	put_int(&btf, "int", 4, true);
	put_int(&btf, "unsigned int", 4, false);
	put_int(&btf, "long", 8, true);
	put_int(&btf, "char", 1, true);
	put_type(&btf, "kuid", KIOKU_TYPE_STRUCT, 1, false, 4); /* a struct around one integer */
	put_member(&btf, "val", UNSIGNED, 0);
	put_type(&btf, "kuid_t", KIOKU_TYPE_TYPEDEF, 0, false, WRAPPED);
	put_type(&btf, "big", KIOKU_TYPE_STRUCT, 2, false, 16);
	put_member(&btf, "a", LONG, 0);
	put_member(&btf, "b", LONG, 64);
	put_type(&btf, "", KIOKU_TYPE_ARRAY, 0, false, 0);
	put32(&btf, CHAR);
	put32(&btf, UNSIGNED);
	put32(&btf, 16);
	put_type(&btf, "task", KIOKU_TYPE_STRUCT, 6, true, 2048);
	put_member(&btf, "pid", INT, 8 * 8);
	put_member(&btf, "flag", UNSIGNED, 3u << 24 | (12 * 8 + 5)); /* three bits from bit 5 */
	put_member(&btf, "uid", ALIAS, 8 * 1000);
	put_member(&btf, "big", BIG, 8 * 1016);
	put_member(&btf, "comm", NAME, 8 * 1040);
	put_member(&btf, "start", LONG, 8 * 2040);

	uint32_t type_size = (uint32_t)btf.size - 24;
	memcpy(btf.data + btf.size, btf.strings, btf.strings_size);
	size_t total = btf.size + btf.strings_size;
	btf.size = 0;
	put32(&btf, 0x0001eb9f);
	put32(&btf, 24);
	put32(&btf, 0);
	put32(&btf, type_size);
	put32(&btf, type_size);
	put32(&btf, (uint32_t)btf.strings_size);
	void *copy = malloc(total);
	CHECK(copy != NULL);
	memcpy(copy, btf.data, total);
	CHECK_EQUAL(types_from_btf(copy, total, &types, NULL), KIOKU_OK);
	return types;
}

struct task {
	int64_t pid; /* wider than the kernel's: sign-extended */
	uint8_t flag;
	uint32_t uid;
	uint64_t big, big_second;
	char comm[8];  /* shorter than the kernel's */
	int32_t start; /* narrower */
};

static const struct member members[] = {
	MEMBER(struct task, pid, "new_pid", "pid"),
	MEMBER(struct task, flag, "flag"),
	MEMBER(struct task, uid, "uid"),
	OPTIONAL(struct task, big, "big"), /* 16 bytes: no integer */
	OPTIONAL(struct task, big_second, "big.b"),
	MEMBER(struct task, comm, "comm"),
	MEMBER(struct task, start, "start"),
};
static const struct record record = RECORD(struct task, "task", members);

static void binds_by_name(void)
{
	struct kioku_types *types = make_types();
	struct binding binding;

	CHECK_EQUAL(record_bind_types(types, &record, &binding, NULL), KIOKU_OK);
	CHECK_EQUAL(BINDING_OFFSET(&binding, struct task, pid), 8);
	CHECK_EQUAL(BINDING_OFFSET(&binding, struct task, big_second), 1024);
	CHECK(!BINDING_HAS(&binding, struct task, big));
	CHECK(BINDING_HAS(&binding, struct task, comm));
	types_close(types);
}

static void names_what_is_missing(void)
{
	static const struct member wanting[] = { MEMBER(struct task, pid, "nobody", "no_one") };
	static const struct record lacks_member = RECORD(struct task, "task", wanting);
	static const struct record lacks_type = RECORD(struct task, "nothing", wanting);
	struct kioku_types *types = make_types();
	struct binding binding;
	struct kioku_error error;

	CHECK_EQUAL(record_bind_types(types, &lacks_member, &binding, &error),
		    KIOKU_ERROR_UNSUPPORTED);
	CHECK_SAYS(error.message, "struct task has no member nobody");
	CHECK_EQUAL(record_bind_types(types, &lacks_type, &binding, &error),
		    KIOKU_ERROR_UNSUPPORTED);
	CHECK_SAYS(error.message, "struct nothing is not known");
	types_close(types);
}

static void reads_and_converts(void)
{
	struct machine machine;
	struct kioku_kernel kernel = { .types = make_types() };
	const struct binding *binding;
	struct task task;
	uint64_t base = 0xffff888000000000ull;
	uint8_t *memory;

	machine_open(&machine, &x86_64_4level);
	machine_put(&machine, machine_entry(&machine, base, 2), ENTRY_PRESENT | ENTRY_LARGE);
	kernel.source = machine.source;
	kernel.space = machine.space;
	memory = machine.memory + 0x100000;
	memcpy(memory + 8, "\xfe\xff\xff\xff", 4);
	memory[12] = 0xbf; /* bits 5 to 7: 101 */
	memcpy(memory + 1000, "\xff\xff\xff\xff", 4);
	memory[1024] = 7;
	memcpy(memory + 1040, "0123456789abcdef", 16);
	memcpy(memory + 2040, "\x01\x02\x03\x84\x05\x06\x07\x08", 8);

	CHECK_EQUAL(record_bind(&kernel, &record, &binding, NULL), KIOKU_OK);
	CHECK_EQUAL(record_read(&kernel, binding, base + 0x100000, &task, NULL), KIOKU_OK);
	CHECK_EQUAL(task.pid, -2);
	CHECK_EQUAL(task.flag, 5);
	CHECK_EQUAL(task.uid, 0xffffffffu);
	CHECK_EQUAL(task.big, 0);
	CHECK_EQUAL(task.big_second, 7);
	CHECK(memcmp(task.comm, "01234567", 8) == 0);
	CHECK_EQUAL((uint32_t)task.start, 0x84030201u);

	struct kioku_error error;
	CHECK_EQUAL(record_read(&kernel, binding, base + (2u << 20) - 1000, &task, &error),
		    KIOKU_ERROR_UNMAPPED);
	CHECK_SAYS(error.message, "cannot read the task at");
	record_cache_release(&kernel);
	types_close(kernel.types);
	machine_close(&machine);
}

TAP_MAIN(TEST(binds_by_name), TEST(names_what_is_missing), TEST(reads_and_converts))
