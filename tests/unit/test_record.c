/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Records against types that the test writes as BTF, byte by byte. */
#include "kernel/record.h"
#include "test_btf.h"
#include "test_machine.h"

/* As the kernel's: "pid" is behind a hole, "uid" a typedef of a struct, members lie far apart. */
static struct kioku_types *make_types(void)
{
	struct btf btf = { 0 };

	btf_layout(&btf, "struct kuid 4 val u32@0\n" /* a struct around one integer */
			 "struct big 16 a u64@0 b u64@8");
	uint32_t alias =
		type(&btf, KIOKU_TYPE_TYPEDEF, "kuid_t", 0, false, layout_type(&btf, "kuid"));
	uint32_t name = array(&btf, BTF_CHAR, 16);
	type(&btf, KIOKU_TYPE_STRUCT, "task", 6, true, 2048);
	member(&btf, "pid", BTF_S32, 8 * 8);
	member(&btf, "flag", BTF_U32, 3u << 24 | (12 * 8 + 5)); /* three bits from bit 5 */
	member(&btf, "uid", alias, 8 * 1000);
	member(&btf, "big", layout_type(&btf, "big"), 8 * 1016);
	member(&btf, "comm", name, 8 * 1040);
	member(&btf, "start", BTF_U64, 8 * 2040);
	struct kioku_types *types = open_btf(&btf);
	btf_release(&btf);
	CHECK(types);
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
