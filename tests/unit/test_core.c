/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The core of a process that was never there, as this code and as gdb read it. */
#include <elf.h>
#include <sys/user.h>

#include "capture/writers.h"
#include "format/core_format.h"
#include "format/elf_format.h"
#include "source/driver.h"
#include "source/made_source.h"
#include "test_capture.h"

#define TIB   (1ull << 40)
#define ARENA 0x600000000000

enum { CODE = PF_R | PF_X, DATA = PF_R | PF_W };

/* Adjacent mappings, terabytes that were never touched, and the one at the very end. */
static const struct source_segment mappings[] = {
	{ 0x400000, 0x3000, CODE },
	{ 0x403000, 0x2000, DATA },
	{ 0x405000, 0x1000, DATA },
	{ 0x406000, 0x1000, PF_R },
	{ ARENA, 3 * TIB, DATA },
	{ 0x7ffff0000000, 0x21000, DATA },
	{ 0xffffffffff600000, 0x1000, PF_X },
};

#define HEAP (ARENA + TIB)

static const struct extent extents[] = {
	{ 0x400000, 0x2000, 0, KIOKU_RANGE_PRESENT },
	{ 0x402000, 0x1000, 0, KIOKU_RANGE_EXCLUDED },
	{ 0x403000, 0x1000, 0, KIOKU_RANGE_PRESENT },
	{ 0x404000, 0x1000, 0, KIOKU_RANGE_UNREADABLE },
	{ 0x405000, 0x2000, 0, KIOKU_RANGE_PRESENT },
	{ ARENA, TIB, 0, KIOKU_RANGE_ZERO },
	{ HEAP, 0x201000, 0, KIOKU_RANGE_PRESENT },
	{ HEAP + 0x201000, 2 * TIB - 0x201000, 0, KIOKU_RANGE_ZERO },
	{ 0x7ffff0000000, 0x21000, 0, KIOKU_RANGE_PRESENT },
	{ 0xffffffffff600000, 0x1000, 0, KIOKU_RANGE_PRESENT },
};

/* What of it is in the core: the program headers. */
static const struct {
	uint64_t start, size;
	uint32_t flags;
	bool is_zero;
} loads[] = {
	{ 0x400000, 0x2000, CODE, false },
	{ 0x403000, 0x1000, DATA, false },
	{ 0x405000, 0x1000, DATA, false },
	{ 0x406000, 0x1000, PF_R, false },
	{ ARENA, TIB, DATA, true },
	{ HEAP, 0x201000, DATA, false },
	{ HEAP + 0x201000, 2 * TIB - 0x201000, DATA, true },
	{ 0x7ffff0000000, 0x21000, DATA, false },
	{ 0xffffffffff600000, 0x1000, PF_X, false },
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* --- its maker */

static int closed;

static enum kioku_status open_access(const struct kioku_source *source, void **out,
				     struct kioku_error *error)
{
	*out = malloc(1);
	return KIOKU_OK;
}

/* The page that cannot be had is known to be so only when it is read. */
#define FAULT (0x7ffff0000000 + 0x3000)

static enum kioku_status read_access(void *access, uint64_t address, uint64_t offset, void *buffer,
				     size_t size, struct kioku_error *error)
{
	uint8_t *out = buffer;

	for (size_t i = 0; i < size; i++) {
		if (address + i == FAULT) {
			errno = EFAULT;
			return error_os(error, "read");
		}
		out[i] = memory_byte(address + i);
	}
	return KIOKU_OK;
}

static bool access_states(void *access, uint64_t address, size_t count, uint8_t *states)
{
	return false;
}

static void close_maker(struct kioku_source *source)
{
	closed += source->state == &closed;
}

static const struct source_access access_functions = {
	.open = open_access,
	.close = free,
	.read = read_access,
	.states = access_states,
};

static const struct source_driver maker = {
	.name = "test",
	.help = "process",
	.access = &access_functions,
	.close = close_maker,
};

static struct source_recipe recipe(void)
{
	struct source_recipe out = {
		.driver = &maker,
		.where = "process:1000",
		.state = &closed,
		.segments = malloc(sizeof(mappings)),
		.segment_count = COUNT(mappings),
		.elf_machine = EM_X86_64,
		.description = "{\n \"pid\": 1000,\n \"name\": \"daemon\"\n}",
		.is_local = true,
	};

	memcpy(out.segments, mappings, sizeof(mappings));
	for (size_t i = 0; i < COUNT(extents); i++)
		CHECK(range_map_add(&out.extents, extents[i]));
	return out;
}

static uint8_t *make_notes(const char *file, size_t *size)
{
	static const uint64_t registers[2][27] = { { [16] = 0x400010, [19] = 0x7ffff0000100 },
						   { [16] = 0x400020, [19] = 0x7ffff0000200 } };
	static const uint8_t floating[512];
	const struct core_file files[] = {
		{ 0x400000, 0x403000, 0, { (const uint8_t *)file, strlen(file) } },
	};
	struct core_thread threads[2];

	for (int i = 0; i < 2; i++)
		threads[i] = (struct core_thread){
			.tid = 1001 - i,
			.general = { (const uint8_t *)registers[i], sizeof(registers[i]) },
			.floating = { floating, sizeof(floating) },
		};
	const struct core_process process = {
		.pid = 1000,
		.state = 'S',
		.name = "daemon",
		.arguments = { (const uint8_t *)"daemon", 7 },
		.files = files,
		.file_count = 1,
		.threads = threads,
		.thread_count = 2,
	};
	return core_notes_encode(&process, size);
}

/* Of a process that has mapped a file at its first mapping. */
static struct kioku_source *make(const char *file)
{
	struct source_recipe from = recipe();
	struct kioku_error error = { 0 };
	struct kioku_source *out;
	AUTO_FREE uint8_t *notes = make_notes(file, &from.notes.size);

	from.notes.data = notes;
	if (source_make(&from, &out, &error) != KIOKU_OK)
		tap_fail(__FILE__, __LINE__, "%s", error.message);
	CHECK(!from.state && !from.segments && !from.extents.extents);
	return out;
}

static void make_core(const char *file, const char *destination)
{
	AUTO_SOURCE struct kioku_source *source = make(file);
	struct test_capture test;

	capture_init(&test);
	if (capture_from(&test, source, destination) != KIOKU_OK)
		tap_fail(__FILE__, __LINE__, "%s", test.error.message);
	CHECK(test.result.complete);
	CHECK_EQUAL(test.result.lost_size, 0x2000);
	CHECK_EQUAL(test.result.memory_size,
		    0x2000 + 4 * 0x1000 + 0x1000 + 0x201000 + 0x21000 + 0x1000);
	CHECK(test.result.image_sha256[0] && !test.result.memory_sha256[0]);
	CHECK_EQUAL(test.heard.gaps, 2);
	CHECK_SAYS(test.heard.last, "bytes of memory at address 0x7ffff0003000 are lost");
}

/* --- the file */

static struct elf_segment segment(struct bytes file, const struct elf_header *head, uint32_t index)
{
	struct bytes table = { file.data + head->segment_offset,
			       (size_t)head->segment_count * head->segment_entry_size };
	struct elf_segment out;

	CHECK(bytes_has(file, head->segment_offset, table.size));
	CHECK(elf_segment_decode(table, head, index, &out));
	return out;
}

static bool holds_memory(struct bytes file, const struct elf_segment *load)
{
	CHECK(bytes_has(file, load->offset, load->filesz));
	for (uint64_t i = 0; i < load->filesz; i++) {
		bool is_lost = load->vaddr + i >= FAULT && load->vaddr + i < FAULT + 4096;
		if (file.data[load->offset + i] != (is_lost ? 0 : memory_byte(load->vaddr + i)))
			return false;
	}
	return true;
}

static void has_what_there_is(void)
{
	struct elf_header head;
	size_t notes_size;
	AUTO_FREE uint8_t *notes = make_notes("/bin/daemon", &notes_size);

	enter_folder();
	make_core("/bin/daemon", "a.core");
	struct bytes file = read_file("a.core");
	CHECK(elf_header_decode(file, &head) == NULL);
	CHECK_EQUAL(head.type, ET_CORE);
	CHECK_EQUAL(head.machine, EM_X86_64);
	CHECK_EQUAL(head.segment_count, COUNT(loads) + 1);
	struct elf_segment note = segment(file, &head, 0);
	CHECK_EQUAL(note.type, PT_NOTE);
	CHECK_EQUAL(note.filesz, notes_size);
	CHECK(memcmp(file.data + note.offset, notes, notes_size) == 0);
	for (uint32_t i = 0; i < COUNT(loads); i++) {
		struct elf_segment load = segment(file, &head, i + 1);
		CHECK_EQUAL(load.type, PT_LOAD);
		CHECK_EQUAL(load.vaddr, loads[i].start);
		CHECK_EQUAL(load.memsz, loads[i].size);
		CHECK_EQUAL(load.filesz, loads[i].is_zero ? 0 : loads[i].size);
		CHECK_EQUAL(load.flags, loads[i].flags);
		CHECK_EQUAL(load.align, 4096);
		CHECK_EQUAL(load.offset % 4096, 0);
		CHECK(holds_memory(file, &load));
	}
	free((void *)file.data);
	leave_folder();
}

static void is_proved(void)
{
	struct manifest manifest;
	char host[256];

	enter_folder();
	make_core("/bin/daemon", "a.core");
	CHECK_EQUAL(verify_image("a.core").verdict, KIOKU_INTACT);
	read_manifest("a.core.manifest.json", &manifest);
	CHECK(strcmp(manifest.image_format, "core") == 0);
	CHECK(strcmp(manifest.where, "process:1000") == 0);
	CHECK(strcmp(manifest.process, "{  \"pid\": 1000,  \"name\": \"daemon\" }") == 0);
	CHECK(!manifest.memory_md5[0] && !manifest.memory_sha256[0]);
	CHECK(gethostname(host, sizeof(host)) == 0 && strcmp(manifest.host_name, host) == 0);
	CHECK(manifest.boot_id[0] && manifest.release[0]);
	CHECK_EQUAL(manifest.range_count, 10);
	CHECK(strcmp(manifest.ranges[1].states, "x1") == 0);
	CHECK(strcmp(manifest.ranges[3].states, "m1") == 0);
	CHECK_EQUAL(manifest.ranges[5].start, ARENA);
	CHECK(strcmp(manifest.ranges[5].states, "z268435456") == 0);
	CHECK_EQUAL(manifest.error_count, 2);
	CHECK_EQUAL(manifest.errors[1].physical, FAULT);
	manifest_release(&manifest);
	leave_folder();
}

static void can_be_packed(void)
{
	enter_folder();
	make_core("/bin/daemon", "a.core.gz");
	CHECK_EQUAL(verify_image("a.core.gz").verdict, KIOKU_INTACT);
	CHECK(file_size("a.core.gz") < 0x201000);
	leave_folder();
}

/* More program headers than e_phnum can count. */
static void counts_many_mappings(void)
{
	struct source_recipe from = recipe();
	struct test_capture test;
	struct kioku_source *made;
	struct elf_header head;
	const uint32_t count = 70000;

	enter_folder();
	range_map_release(&from.extents);
	free(from.segments);
	from.segments = calloc(count, sizeof(*from.segments));
	from.segment_count = count;
	for (uint32_t i = 0; i < count; i++)
		from.segments[i] =
			(struct source_segment){ 0x10000000ull + i * 0x1000ull, 0x1000, PF_R };
	CHECK(range_map_add(&from.extents,
			    (struct extent){ 0x10000000, count * 0x1000ull, 0, KIOKU_RANGE_ZERO }));
	CHECK(source_make(&from, &made, NULL) == KIOKU_OK);
	capture_init(&test);
	CHECK_EQUAL(capture_from(&test, made, "a.core"), KIOKU_OK);
	CHECK_EQUAL(test.result.memory_size, 0);
	kioku_source_close(made);

	struct bytes file = read_file("a.core"), section;
	CHECK(elf_header_decode(file, &head) == NULL);
	CHECK_EQUAL(head.segment_count, PN_XNUM);
	CHECK(bytes_slice(file, head.section_offset, ELF_SECTION_SIZE, &section));
	CHECK(elf_large_count_decode(section, &head) == NULL);
	CHECK_EQUAL(head.segment_count, count + 1);
	CHECK_EQUAL(segment(file, &head, count).vaddr, 0x10000000 + (count - 1) * 0x1000ull);
	free((void *)file.data);
	leave_folder();
}

/* --- what is refused */

static void spoil_order(struct source_recipe *from)
{
	from->segments[1].start = 0x402000;
}

static void spoil_size(struct source_recipe *from)
{
	from->segments[1].size = 0x1800;
}

static void spoil_extent(struct source_recipe *from)
{
	CHECK(range_map_add(&from->extents,
			    (struct extent){ 0x500000, 0x1000, 0, KIOKU_RANGE_PRESENT }));
}

static void spoil_end(struct source_recipe *from)
{
	CHECK(range_map_add(&from->extents,
			    (struct extent){ 0x406000, 0x2000, 0, KIOKU_RANGE_PRESENT }));
}

static void spoil_description(struct source_recipe *from)
{
	from->description = "{\"pid\": }";
}

static void spoil_all(struct source_recipe *from)
{
	from->segment_count = 0;
}

static void refuses_odd_recipes(void)
{
	static const struct {
		void (*spoil)(struct source_recipe *from);
		const char *says;
	} wrong[] = {
		{ spoil_order, "overlaps" },           { spoil_size, "no whole pages" },
		{ spoil_extent, "pages of mappings" }, { spoil_end, "pages of mappings" },
		{ spoil_description, "description" },  { spoil_all, "without mappings" },
	};

	for (size_t i = 0; i < COUNT(wrong); i++) {
		struct source_recipe from = recipe();
		struct kioku_error error = { 0 };
		struct kioku_source *made;
		wrong[i].spoil(&from);
		CHECK_EQUAL(source_make(&from, &made, &error), KIOKU_ERROR_ARGUMENT);
		CHECK_EQUAL(error.status, KIOKU_ERROR_ARGUMENT);
		CHECK_SAYS(error.message, wrong[i].says);
		CHECK(!made && from.state == &closed && closed == 0);
	}
	kioku_source_close(make("/bin/daemon"));
	CHECK_EQUAL(closed, 1);
}

static void chooses_by_what_it_is(void)
{
	static const struct {
		bool is_process;
		const char *name, *format, *out; /* out NULL: refused */
	} cases[] = {
		{ true, "a.core", NULL, "core" },    { true, "a", NULL, "core" },
		{ true, "a.lime", NULL, "core" },    { true, "-", NULL, "core" },
		{ true, "a.core", "core", "core" },  { true, "a.core", "elf", NULL },
		{ true, "a.core", "nothing", NULL }, { false, "a.core", NULL, "elf" },
		{ false, "a.core", "core", NULL },   { false, "-", NULL, "lime" },
	};
	const struct writer_format *format;
	const struct codec *codec;

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct kioku_error error = { 0 };
		enum kioku_status status =
			writers_choose(cases[i].is_process, cases[i].name, cases[i].format, NULL,
				       &format, &codec, &error);
		CHECK_EQUAL(status, cases[i].out ? KIOKU_OK : KIOKU_ERROR_ARGUMENT);
		CHECK(!cases[i].out || strcmp(format->public.name, cases[i].out) == 0);
	}
	CHECK(writers_choose(true, "a.core.gz", NULL, NULL, &format, &codec, NULL) == KIOKU_OK);
	CHECK(format == &core_writer && codec && strcmp(codec->name, "gzip") == 0);
}

/* --- gdb */

static void need_gdb(void)
{
#ifndef __x86_64__
	SKIP("gdb may not know x86-64");
#endif
	if (system("gdb --version >/dev/null 2>&1") != 0)
		SKIP("gdb is not installed");
}

/* What gdb says to commands about a core. */
static void ask_gdb(const char *core, const char *commands, char *out, size_t size)
{
	AUTO_FREE char *line = NULL;

	CHECK(asprintf(&line, "gdb -nx -batch %s -c %s 2>&1", commands, core) > 0);
	FILE *gdb = popen(line, "r");
	CHECK(gdb);
	size_t used = fread(out, 1, size - 1, gdb);
	out[used] = '\0';
	pclose(gdb); /* newer ones fail with their last command */
}

static void check_word(const char *said, uint64_t address, bool is_zero)
{
	char wanted[64];
	uint32_t word = 0;

	for (unsigned i = 0; i < 4 && !is_zero; i++)
		word |= (uint32_t)memory_byte(address + i) << 8 * i;
	snprintf(wanted, sizeof(wanted), "0x%llx:\t0x%08x", (unsigned long long)address, word);
	CHECK_SAYS(said, wanted);
}

/* What was lost or left out is not zero to it. */
static void gdb_reads_memory(void)
{
	char said[16384];

	need_gdb();
	enter_folder();
	make_core("/nowhere/daemon", "a.core");
	ask_gdb("a.core",
		"-ex 'x/xw 0x400000' -ex 'x/xw 0x403004' -ex 'x/xw 0x405000' -ex 'x/xw 0x406ffc' "
		"-ex 'x/xw 0x600000000000' -ex 'x/xw 0x60fffffffffc' -ex 'x/xw 0x610000200ffc' "
		"-ex 'x/xw 0x610000201000' -ex 'x/xw 0x7ffff0000000' -ex 'x/xw 0x402000' "
		"-ex 'x/xw 0x404000' -ex 'info proc mappings'",
		said, sizeof(said));
	check_word(said, 0x400000, false);
	check_word(said, 0x403004, false);
	check_word(said, 0x405000, false);
	check_word(said, 0x406ffc, false);
	check_word(said, ARENA, true);
	check_word(said, HEAP - 4, true);
	check_word(said, HEAP + 0x200ffc, false);
	check_word(said, HEAP + 0x201000, true);
	check_word(said, 0x7ffff0000000, false);
	CHECK_SAYS(said, "Cannot access memory at address 0x402000");
	CHECK_SAYS(said, "Cannot access memory at address 0x404000");
	CHECK_SAYS(said, "/nowhere/daemon\n");
	leave_folder();
}

static void gdb_finds_what_was_left_out(void)
{
	char said[16384], mapped[PATH_MAX + 8];

	need_gdb();
	enter_folder();
	CHECK(getcwd(mapped, PATH_MAX));
	strcat(mapped, "/mapped");
	FILE *file = fopen(mapped, "w");
	for (unsigned i = 0; i < 0x3000; i++)
		putc(0xa5, file);
	CHECK(fclose(file) == 0);
	make_core(mapped, "a.core");
	ask_gdb("a.core", "-ex 'x/xw 0x400000' -ex 'x/xw 0x402000'", said, sizeof(said));
	check_word(said, 0x400000, false);
	CHECK_SAYS(said, "0x402000:\t0xa5a5a5a5");
	leave_folder();
}

static void gdb_has_the_threads(void)
{
	char said[16384];

	need_gdb();
	enter_folder();
	make_core("/nowhere/daemon", "a.core");
	ask_gdb("a.core",
		"-ex 'p/x $pc' -ex 'p/x $sp' -ex 'thread apply all p/x $pc' -ex 'thread apply 2 "
		"p/x $sp'",
		said, sizeof(said));
	CHECK_SAYS(said, "Core was generated by `daemon'.");
	CHECK_SAYS(said, "[Current thread is 1 (LWP 1001)]");
	CHECK_SAYS(said, "$1 = 0x400010\n$2 = 0x7ffff0000100\n");
	CHECK_SAYS(said, "Thread 2 (LWP 1000):\n$3 = 0x400020\n");
	CHECK_SAYS(said, "Thread 1 (LWP 1001):\n$4 = 0x400010\n");
	CHECK_SAYS(said, "$5 = 0x7ffff0000200\n");
	leave_folder();
}

TAP_MAIN(TEST(has_what_there_is), TEST(is_proved), TEST(can_be_packed), TEST(counts_many_mappings),
	 TEST(refuses_odd_recipes), TEST(chooses_by_what_it_is), TEST(gdb_reads_memory),
	 TEST(gdb_finds_what_was_left_out), TEST(gdb_has_the_threads))
