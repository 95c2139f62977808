/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the monitor of QEMU 7.2 printed, which is the corpus of the fuzz target, too. */
#include <inttypes.h>

#include "base/cleanup.h"
#include "format/monitor_format.h"
#include "tap.h"

#define GIB (1ull << 30)

static struct bytes bytes_of(const char *text)
{
	return (struct bytes){ (const uint8_t *)text, strlen(text) };
}

/* For the caller to free. */
static char *captured(const char *name)
{
	AUTO_FREE char *path = NULL;
	char *text = calloc(1, 65536);

	CHECK(asprintf(&path, "%s/fuzz/corpus/monitor_format/%s", getenv("KIOKU_TESTS"), name) > 0);
	FILE *file = fopen(path, "r");
	CHECK(text && file && fread(text, 1, 65535, file) > 0);
	fclose(file);
	return text;
}

static bool is(struct bytes bytes, const char *text)
{
	return bytes.size == strlen(text) && memcmp(bytes.data, text, bytes.size) == 0;
}

struct expected {
	uint64_t start, end, offset;
	enum monitor_kind kind;
	const char *name;
};

static void check_map(const char *text, const struct expected *expected, size_t count)
{
	struct monitor_region region;
	size_t offset = 0, found = 0;
	bool damaged;

	while (monitor_next_region(bytes_of(text), &offset, &region, &damaged)) {
		if (region.kind == MONITOR_OTHER)
			continue;
		CHECK(found < count);
		CHECK_EQUAL(region.start, expected[found].start);
		CHECK_EQUAL(region.start + region.size, expected[found].end);
		CHECK_EQUAL(region.offset, expected[found].offset);
		CHECK_EQUAL(region.kind, expected[found].kind);
		CHECK(is(region.name, expected[found].name));
		found++;
	}
	CHECK(!damaged);
	CHECK_EQUAL(found, count);
}

#define CHECK_MAP(text, ...)                                                            \
	do {                                                                            \
		static const struct expected expected_[] = { __VA_ARGS__ };             \
		check_map((text), expected_, sizeof(expected_) / sizeof(expected_[0])); \
	} while (0)

static void reads_i440fx(void)
{
	AUTO_FREE char *text = captured("i440fx");

	CHECK_MAP(text, { 0, 0xc0000, 0, MONITOR_RAM, "pc.ram" },
		  { 0xc0000, 0xe0000, 0, MONITOR_ROM, "pc.rom" },
		  { 0xe0000, 0x100000, 0x20000, MONITOR_ROM, "pc.bios" },
		  { 0x100000, 0x20000000, 0x100000, MONITOR_RAM, "pc.ram" },
		  { 0xfffc0000, 4 * GIB, 0, MONITOR_ROM, "pc.bios" });
}

static void reads_q35_above_4_gib(void)
{
	AUTO_FREE char *text = captured("q35_6g_vga");

	CHECK_MAP(text, { 0, 0xa0000, 0, MONITOR_RAM, "pc.ram" },
		  { 0xc0000, 0xe0000, 0, MONITOR_ROM, "pc.rom" },
		  { 0xe0000, 0x100000, 0x20000, MONITOR_ROM, "pc.bios" },
		  { 0x100000, 2 * GIB, 0x100000, MONITOR_RAM, "pc.ram" },
		  { 0xfffc0000, 4 * GIB, 0, MONITOR_ROM, "pc.bios" },
		  { 4 * GIB, 8 * GIB, 2 * GIB, MONITOR_RAM, "pc.ram" });
}

static void reads_several_backends(void)
{
	AUTO_FREE char *text = captured("numa");

	CHECK_MAP(text, { 0, 0xc0000, 0, MONITOR_RAM, "n0" },
		  { 0xc0000, 0xe0000, 0, MONITOR_ROM, "pc.rom" },
		  { 0xe0000, 0x100000, 0x20000, MONITOR_ROM, "pc.bios" },
		  { 0x100000, 3 * GIB, 0x100000, MONITOR_RAM, "n0" },
		  { 0xfffc0000, 4 * GIB, 0, MONITOR_ROM, "pc.bios" },
		  { 4 * GIB, 5 * GIB, 3 * GIB, MONITOR_RAM, "n0" },
		  { 5 * GIB, 7 * GIB, 0, MONITOR_RAM, "n1" },
		  { 7 * GIB, 7 * GIB + (128 << 20), 0, MONITOR_RAM, "d0-ram" });
}

/* The firmware has locked its copies of ROM, which are RAM. */
static void reads_a_booted_machine(void)
{
	AUTO_FREE char *text = captured("booted");

	CHECK_MAP(text, { 0, 0xc3000, 0, MONITOR_RAM, "ram" },
		  { 0xc3000, 0xe8000, 0xc3000, MONITOR_ROM, "ram" },
		  { 0xe8000, 0xf0000, 0xe8000, MONITOR_RAM, "ram" },
		  { 0xf0000, 0x100000, 0xf0000, MONITOR_ROM, "ram" },
		  { 0x100000, 0x20000000, 0x100000, MONITOR_RAM, "ram" },
		  { 0xfffc0000, 4 * GIB, 0, MONITOR_ROM, "pc.bios" },
		  { 4 * GIB, 4 * GIB + (128 << 20), 0, MONITOR_RAM, "dimm0-ram" },
		  { 4 * GIB + (128 << 20), 4 * GIB + (192 << 20), 0, MONITOR_RAM, "p-ram" });
}

/* KVM stands behind each region that it maps; devices' RAM and persistent memory are none. */
static void reads_other_forms(void)
{
	CHECK_MAP(
		"FlatView #0\r\n AS \"I/O\", root: io\r\n"
		"  0000000000000000-0000000000000007 (prio 0, ram): wrong view\r\n\r\n"
		"FlatView #1\n AS \"cpu-memory-0\", root: system\n AS \"memory\", root: system\n"
		" Root memory region: system\n"
		"  0000000000000000-00000000000bffff (prio 0, ram): pc.ram KVM\n"
		"  0000000000100000-00000000bfffffff (prio 0, ram): pc.ram @0000000000100000 KVM\n"
		"  00000000e0000000-00000000e0ffffff (prio 1, ramd): 0000:01:00.0 BAR 0 mmaps[0] "
		"KVM\n"
		"  00000000f0000000-00000000f0ffffff (prio 1, romd): system.flash0\n"
		"  00000000f2000000-00000000f2000fff (prio -1, i/o): a @0 (b, ram): c\n"
		"  00000000f4000000-00000000f4000fff (prio 1, ram): odd @name @0000000000001000\n"
		"  0000000100000000-000000013fffffff (prio 0, nv-ram): nvdimm KVM\n"
		"  ffffffffffff0000-ffffffffffffffff (prio 0, rom): last",
		{ 0, 0xc0000, 0, MONITOR_RAM, "pc.ram" },
		{ 0x100000, 0xc0000000, 0x100000, MONITOR_RAM, "pc.ram" },
		{ 0xf4000000, 0xf4001000, 0x1000, MONITOR_RAM, "odd @name" },
		{ 0xffffffffffff0000, 0, 0, MONITOR_ROM, "last" });
}

static void says_what_is_damaged(void)
{
	static const char *const lines[] = { "0-", "10-f (prio 0, ram): x", "0-f prio 0, ram): x",
					     "0-f (prio 0): x", "0-f (prio 0, ram x" };
	struct monitor_region region;
	bool damaged;

	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
		AUTO_FREE char *text = NULL;
		size_t offset = 0;
		CHECK(asprintf(&text, " AS \"memory\", root: system\n  %s", lines[i]) > 0);
		CHECK(!monitor_next_region(bytes_of(text), &offset, &region, &damaged));
		CHECK(damaged);
	}
	size_t offset = 0;
	CHECK(!monitor_next_region(bytes_of("unknown command: 'info mtree'\n"), &offset, &region,
				   &damaged));
	CHECK(!damaged);
}

static void reads_backends(void)
{
	static const char *const names[] = { "n1", "d0-ram", "n0" };
	AUTO_FREE char *text = captured("numa_memdev");
	struct monitor_region region = { 0 };
	struct bytes name;
	size_t offset = 0;

	for (size_t i = 0; i < 3; i++) {
		CHECK(monitor_next_backend(bytes_of(text), &offset, &name));
		CHECK(is(name, names[i]));
	}
	CHECK(!monitor_next_backend(bytes_of(text), &offset, &name));
	region.name = bytes_of("/objects/n0");
	CHECK(monitor_is_of(&region, bytes_of("n0")));
	CHECK(!monitor_is_of(&region, bytes_of("n")));
	CHECK(!monitor_is_of(&region, bytes_of("")));
}

static void reads_registers(void)
{
	AUTO_FREE char *text = captured("registers");
	struct kioku_cpu cpu;
	size_t offset = 0;

	for (unsigned i = 0; i < 2; i++) {
		CHECK(monitor_next_cpu(bytes_of(text), &offset, &cpu));
		CHECK(cpu.cr3 > 0 && cpu.cr3 < 0x20000000 && cpu.cr3 % 4096 == 0);
		CHECK(cpu.rip >= 0xffffffff80000000 && cpu.rsp >= 0xff00000000000000);
	}
	CHECK(!monitor_next_cpu(bytes_of(text), &offset, &cpu));
}

static void reads_versions(void)
{
	AUTO_FREE char *text = captured("version");
	unsigned major, minor;

	CHECK(monitor_version(bytes_of(text), &major, &minor));
	CHECK_EQUAL(major, 7);
	CHECK_EQUAL(minor, 2);
	CHECK(!monitor_version(bytes_of("v7.2"), &major, &minor));
	CHECK(!monitor_version(bytes_of("7"), &major, &minor));
}

TAP_MAIN(TEST(reads_i440fx), TEST(reads_q35_above_4_gib), TEST(reads_several_backends),
	 TEST(reads_a_booted_machine), TEST(reads_other_forms), TEST(says_what_is_damaged),
	 TEST(reads_backends), TEST(reads_registers), TEST(reads_versions))
