/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What compilers say of the types of dwarf_sample.h, against what it is. */
#include <fcntl.h>

#include "base/error.h"
#include "dwarf_sample.h"
#include "tap.h"
#include "type/dwarf_types.h"

static int open_sample(const char *name)
{
	const char *folder = getenv("KIOKU_DWARF_SAMPLES");
	char path[4096];

	if (!folder)
		SKIP("this build has no libdw, or the samples were not compiled");
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	int descriptor = open(path, O_RDONLY | O_CLOEXEC);
	if (descriptor < 0)
		tap_fail(__FILE__, __LINE__, "cannot open %s", path);
	return descriptor;
}

static struct kioku_types *read_sample(const char *name)
{
	AUTO_CLOSE int descriptor = open_sample(name);
	struct kioku_error error = { 0 };
	struct kioku_types *types = NULL;
	struct dwarf_summary summary;

	if (types_from_dwarf(descriptor, &types, &summary, &error) != KIOKU_OK)
		tap_fail(__FILE__, __LINE__, "%s: %s", name, error.message);
	if (summary.flaw[0])
		tap_fail(__FILE__, __LINE__, "%s: %s", name, summary.flaw);
	return types;
}

static struct kioku_member member_of(const struct kioku_types *types, const char *type,
				     const char *path)
{
	struct kioku_member member = { 0 };
	uint32_t id;

	CHECK_EQUAL(kioku_types_find(types, type, &id, NULL), KIOKU_OK);
	if (kioku_type_member(types, id, path, &member, NULL) != KIOKU_OK)
		tap_fail(__FILE__, __LINE__, "%s has no %s", type, path);
	return member;
}

#define CHECK_MEMBER(of, path)                                                            \
	do {                                                                              \
		struct kioku_member found = member_of(types, #of, #path);                 \
		CHECK_EQUAL(found.bit_offset, 8 * offsetof(of, path));                    \
		CHECK_EQUAL(found.bit_size, 0);                                           \
		CHECK_EQUAL(kioku_type_size(types, found.type), sizeof(((of *)0)->path)); \
	} while (0)

/* Where a bit field is: the bits that are set when it is. */
#define CHECK_BITS(field, value)                                                            \
	do {                                                                                \
		union {                                                                     \
			struct sample_bits bits;                                            \
			uint64_t words[(sizeof(struct sample_bits) + 7) / 8];               \
		} image = { .words = { 0 } };                                               \
		image.bits.field = (value);                                                 \
		struct kioku_member found = member_of(types, "struct sample_bits", #field); \
		unsigned word = (unsigned)(found.bit_offset / 64);                          \
		CHECK_EQUAL(image.words[word] >> found.bit_offset % 64,                     \
			    found.bit_size == 64 ? ~0ull : (1ull << found.bit_size) - 1);   \
	} while (0)

static void check_sample(const char *name)
{
	AUTO_TYPES struct kioku_types *types = read_sample(name);
	struct type_cursor cursor = { 0 };
	uint64_t value;
	uint32_t id, more;

	CHECK_EQUAL(types_size_of(types, "struct sample_task"), sizeof(struct sample_task));
	CHECK_EQUAL(types_size_of(types, "struct sample_bits"), sizeof(struct sample_bits));
	CHECK_EQUAL(types_size_of(types, "union sample_either"), sizeof(union sample_either));
	CHECK_EQUAL(types_size_of(types, "sample_u64"), 8);
	CHECK_EQUAL(types_size_of(types, "vector_t"), 256);
	CHECK_MEMBER(struct sample_task, state);
	CHECK_MEMBER(struct sample_task, tasks);
	CHECK_MEMBER(struct sample_task, tasks.prev);
	CHECK_MEMBER(struct sample_task, pid);
	CHECK_MEMBER(struct sample_task, tgid);
	CHECK_MEMBER(struct sample_task, both);
	CHECK_MEMBER(struct sample_task, counters);
	CHECK_MEMBER(struct sample_task, matrix);
	CHECK_MEMBER(struct sample_task, vector);
	CHECK_MEMBER(struct sample_task, bits);
	CHECK_MEMBER(struct sample_task, call);
	CHECK_MEMBER(struct sample_task, incomplete);
	CHECK_MEMBER(struct sample_task, alive);
	CHECK_MEMBER(struct sample_task, flags);
	CHECK_MEMBER(struct sample_task, wide);
	CHECK_MEMBER(struct sample_task, either.text);
	CHECK_MEMBER(struct sample_task, truth);
	CHECK_MEMBER(struct sample_task, real);
	CHECK_MEMBER(struct sample_task, parent);
	CHECK_MEMBER(struct sample_task, name);
	CHECK_EQUAL(member_of(types, "struct sample_task", "flexible").bit_offset,
		    8 * offsetof(struct sample_task, flexible));
	CHECK_BITS(first, 7);
	CHECK_BITS(second, -1);
	CHECK_BITS(wide, 0xfffff);
	CHECK_BITS(tail, 3);
	CHECK_BITS(far, 0xffffffffffull);
	CHECK(types_enum_value(types, "sample_state", "SAMPLE_DEAD", &value));
	CHECK_EQUAL((int)value, -1);
	CHECK(types_enum_value(types, "sample_state", "SAMPLE_LATE", &value));
	CHECK_EQUAL(value, 300);
	CHECK(types_enum_value(types, "sample_flags", "SAMPLE_HIGH", &value));
	CHECK_EQUAL((uint32_t)value, 0x80000000u);
	CHECK(types_enum_value(types, "sample_wide", "SAMPLE_WIDE", &value));
	CHECK_EQUAL(value, 0x123456789abull);

	/* Two units have it, and it is one type; what one of them only declares is what the other one defines. */
	CHECK(types_next_named(types, "sample_task", &cursor, &id));
	CHECK(!types_next_named(types, "sample_task", &cursor, &more));
	CHECK_EQUAL(types_size_of(types, "struct sample_incomplete"), 8);
	struct btf_record pointer;
	CHECK(types_record(types, member_of(types, "struct sample_task", "incomplete").type,
			   &pointer));
	CHECK_EQUAL(kioku_type_kind(types, pointer.type), KIOKU_TYPE_STRUCT);
	CHECK(types_record(types, member_of(types, "struct sample_task", "parent").type, &pointer));
	CHECK_EQUAL(pointer.type, id);
}

static void reads_version_4(void)
{
	check_sample("dwarf_4.so");
}

static void reads_version_5(void)
{
	check_sample("dwarf_5.so");
}

/* DW_AT_bit_offset, and locations that are expressions. */
static void reads_version_2(void)
{
	check_sample("dwarf_2.so");
}

static void reads_type_units(void)
{
	check_sample("dwarf_types_4.so");
	check_sample("dwarf_types_5.so");
}

static void reads_compressed_sections(void)
{
	check_sample("dwarf_packed.so");
}

/* A module: its debug information is relocated. */
static void reads_relocatable_files(void)
{
	AUTO_TYPES struct kioku_types *types = read_sample("dwarf_module.o");

	CHECK_MEMBER(struct sample_task, tasks);
	CHECK_MEMBER(struct sample_task, name);
	CHECK_EQUAL(types_size_of(types, "struct sample_task"), sizeof(struct sample_task));
}

static uint8_t *load(const char *name, size_t *size)
{
	AUTO_CLOSE int descriptor = open_sample(name);
	off_t end = lseek(descriptor, 0, SEEK_END);
	uint8_t *data = malloc((size_t)end);

	CHECK(data && pread(descriptor, data, (size_t)end, 0) == end);
	*size = (size_t)end;
	return data;
}

/* Bytes that are no longer what the compiler wrote cost types, or all of them, and nothing else. */
static void survives(const char *name, unsigned rounds)
{
	size_t size;
	AUTO_FREE uint8_t *data = load(name, &size);
	char path[] = "/tmp/kioku-dwarf-XXXXXX";
	AUTO_CLOSE int descriptor = mkstemp(path);
	uint64_t seed = 12345;

	CHECK(descriptor >= 0);
	unlink(path);
	for (unsigned round = 0; round < rounds; round++) {
		uint8_t kept[8];
		size_t places[8];
		struct kioku_types *types = NULL;
		struct dwarf_summary summary;
		size_t cut = size;
		for (unsigned i = 0; i < 8; i++) {
			seed = seed * 6364136223846793005ull + 1442695040888963407ull;
			places[i] = (size_t)(seed >> 20) % size;
			kept[i] = data[places[i]];
			data[places[i]] = (uint8_t)(seed >> 12);
		}
		if (round % 8 == 7)
			cut = (size_t)(seed >> 16) % size;
		CHECK(ftruncate(descriptor, 0) == 0);
		CHECK(pwrite(descriptor, data, cut, 0) == (ssize_t)cut);
		if (types_from_dwarf(descriptor, &types, &summary, NULL) == KIOKU_OK) {
			struct kioku_member member;
			uint32_t id;
			char *text;
			if (kioku_types_find(types, "struct sample_task", &id, NULL) == KIOKU_OK) {
				(void)!kioku_type_member(types, id, "name", &member, NULL);
				if (kioku_type_print(types, id, &text, NULL) == KIOKU_OK)
					free(text);
			}
			types_close(types);
		}
		for (unsigned i = 8; i-- > 0;)
			data[places[i]] = kept[i];
	}
}

static void survives_damage(void)
{
	survives("dwarf_4.so", 400);
	survives("dwarf_5.so", 400);
	survives("dwarf_types_4.so", 200);
	survives("dwarf_module.o", 200);
	survives("dwarf_packed.so", 200);
}

TAP_MAIN(TEST(reads_version_4), TEST(reads_version_5), TEST(reads_version_2),
	 TEST(reads_type_units), TEST(reads_compressed_sections), TEST(reads_relocatable_files),
	 TEST(survives_damage))
