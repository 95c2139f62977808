/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ELF cores, laid out as the System V gABI says; the notes as the programs that write them do. */
#include <signal.h>
#include <spawn.h>

#include "format/elf_format.h"
#include "source/source.h"
#include "test_image.h"

struct load {
	uint32_t type;
	uint64_t offset, vaddr, paddr, filesz, memsz, align;
};

enum { CLASS_32 = 1, CLASS_64 = 2 };

static void put_ident(struct image *image, int class)
{
	put_bytes(image, "\177ELF", 4);
	put(image, 1, (uint64_t) class);
	put(image, 1, image->big_endian ? 2 : 1);
	put(image, 1, 0); /* VirtualBox writes a version of 0 */
	put_fill(image, 0, 9);
}

static void put_header(struct image *image, int class, unsigned type, unsigned machine,
		       uint64_t phoff, uint64_t shoff, unsigned phnum)
{
	unsigned word = class == CLASS_64 ? 8 : 4;

	put_ident(image, class);
	put(image, 2, type);
	put(image, 2, machine);
	put(image, 4, 1);
	put(image, word, 0);
	put(image, word, phoff);
	put(image, word, shoff);
	put(image, 4, 0); /* e_flags */
	put(image, 2, 8); /* e_ehsize, as wrong as in QEMU 7.2 */
	put(image, 2, class == CLASS_64 ? 56 : 32);
	put(image, 2, phnum);
	put(image, 2, class == CLASS_64 ? 64 : 40);
	put(image, 2, 0);
	put(image, 2, 0);
}

static void put_load(struct image *image, int class, const struct load *load)
{
	unsigned word = class == CLASS_64 ? 8 : 4;

	put(image, 4, load->type);
	if (class == CLASS_64)
		put(image, 4, 7);
	put(image, word, load->offset);
	put(image, word, load->vaddr);
	put(image, word, load->paddr);
	put(image, word, load->filesz);
	put(image, word, load->memsz);
	if (class == CLASS_32)
		put(image, 4, 7);
	put(image, word, load->align);
}

/* A little-endian x86-64 core whose program headers follow the header at once. */
static void put_core(struct image *image, const struct load *loads, unsigned count)
{
	put_header(image, CLASS_64, 4, 62, 64, 0, count);
	for (unsigned i = 0; i < count; i++)
		put_load(image, CLASS_64, &loads[i]);
}

static void pad_to(struct image *image, size_t size)
{
	CHECK(image->size <= size);
	put_fill(image, 0, size - image->size);
}

/* A note whose padding is to a multiple of 4, as everybody writes it. */
static void put_note(struct image *image, const char *name, size_t name_size, uint32_t type,
		     const void *description, size_t size)
{
	put(image, 4, name_size);
	put(image, 4, size);
	put(image, 4, type);
	put_bytes(image, name, name_size);
	put_fill(image, 0, -name_size & 3);
	put_bytes(image, description, size);
	put_fill(image, 0, -size & 3);
}

static void set_le64(uint8_t *at, uint64_t value)
{
	for (int i = 0; i < 8; i++)
		at[i] = (uint8_t)(value >> 8 * i);
}

static void put_prstatus(struct image *image, uint64_t rip, uint64_t rsp)
{
	uint8_t status[336] = { 0 };

	set_le64(status + 240, rip);
	set_le64(status + 264, rsp);
	put_note(image, "CORE", 5, 1, status, sizeof(status));
}

static void put_qemu(struct image *image, uint64_t cr3, uint64_t rip, uint64_t rsp)
{
	uint8_t state[440] = { 1, 0, 0, 0, 0xb8, 1 };

	set_le64(state + 56, rsp);
	set_le64(state + 136, rip);
	set_le64(state + 416, cr3);
	put_note(image, "QEMU", 5, 0, state, sizeof(state));
}

static void check_refused(const struct image *image, enum kioku_status status, const char *says)
{
	struct heard heard;

	CHECK(!open_image(image, &heard));
	CHECK_EQUAL(heard.status, status);
	CHECK_SAYS(heard.error.message, says);
}

/* Both classes and byte orders, with the program headers not where they usually are. */
static void reads_every_class_and_order(void)
{
	for (int class = CLASS_32; class <= CLASS_64; class ++) {
		for (int big = 0; big <= 1; big++) {
			struct image image = { .big_endian = big };
			struct heard heard;
			put_header(&image, class, 4, 62, 200, 0, 2);
			pad_to(&image, 200);
			put_load(&image, class,
				 &(struct load){ 1, 500, 0xc0000000, 0x100000, 16, 16, 0 });
			put_load(&image, class, &(struct load){ 1, 516, 0, 0x1000, 4, 4, 0 });
			pad_to(&image, 500);
			put_bytes(&image, "0123456789abcdefWXYZ", 20);
			AUTO_SOURCE struct kioku_source *source = open_image(&image, &heard);
			CHECK(source && heard.gaps + heard.others == 0);
			CHECK_SAYS(kioku_source_format(source), "elf");
			CHECK_EQUAL(range_count(source), 2);
			CHECK_RANGE(source, 0, 0x1000, 4, KIOKU_RANGE_PRESENT);
			CHECK_RANGE(source, 1, 0x100000, 16, KIOKU_RANGE_PRESENT);
			CHECK_EQUAL(byte_at(source, 0x1003), 'Z');
			CHECK_EQUAL(byte_at(source, 0x10000f), 'f');
			check_every_truncation("", &image);
			check_every_truncation("elf:", &image);
		}
	}
}

static void decodes_fields(void)
{
	struct image image = { 0 };
	struct elf_header header;
	struct elf_segment segment;

	put_core(&image,
		 &(struct load){ 0x11111111, 0x2222222222222222, 0x3333333333333333,
				 0x4444444444444444, 0x5555555555555555, 0x6666666666666666,
				 0x7777777777777777 },
		 1);
	struct bytes bytes = { image.data, image.size }, table;
	CHECK(!elf_header_decode(bytes, &header));
	CHECK(header.is_64 && !header.big_endian);
	CHECK(bytes_slice(bytes, header.segment_offset, ELF_SEGMENT_SIZE, &table));
	CHECK(header.type == 4 && header.machine == 62 && header.segment_count == 1);
	CHECK(elf_segment_decode(table, &header, 0, &segment));
	CHECK_EQUAL(segment.type, 0x11111111);
	CHECK_EQUAL(segment.flags, 7);
	CHECK_EQUAL(segment.offset, 0x2222222222222222);
	CHECK_EQUAL(segment.vaddr, 0x3333333333333333);
	CHECK_EQUAL(segment.paddr, 0x4444444444444444);
	CHECK_EQUAL(segment.filesz, 0x5555555555555555);
	CHECK_EQUAL(segment.memsz, 0x6666666666666666);
	CHECK_EQUAL(segment.align, 0x7777777777777777);
	CHECK(!elf_segment_decode(table, &header, 1, &segment));
}

/* dump-guest-memory writes the count to section header 0 from 65535 segments on. */
static void reads_large_counts(void)
{
	for (int class = CLASS_32; class <= CLASS_64; class ++) {
		struct image image = { 0 };
		struct heard heard;
		put_header(&image, class, 4, 62, 256, 128, 0xffff);
		pad_to(&image, 128);
		put_fill(&image, 0, class == CLASS_64 ? 44 : 28);
		put(&image, 4, 2); /* sh_info */
		pad_to(&image, 256);
		put_load(&image, class, &(struct load){ 1, 600, 0, 0x1000, 1, 1, 0 });
		put_load(&image, class, &(struct load){ 1, 601, 1, 0x2000, 1, 1, 0 });
		pad_to(&image, 600);
		put_bytes(&image, "ab", 2);
		AUTO_SOURCE struct kioku_source *source = open_image(&image, &heard);
		CHECK(source && heard.gaps == 0);
		CHECK_EQUAL(range_count(source), 2);
		CHECK_EQUAL(byte_at(source, 0x2000), 'b');
		check_every_truncation("", &image);
	}
}

static void refuses_absurd_counts(void)
{
	struct image image = { 0 };

	put_header(&image, CLASS_64, 4, 62, 64, 1 << 20, 0xffff);
	put_fill(&image, 0, 4096);
	check_refused(&image, KIOKU_ERROR_CORRUPT, "outside the file");
	image.size = 0;
	put_header(&image, CLASS_64, 4, 62, 64, 64, 0xffff);
	put_fill(&image, 0xff, 4096);
	check_refused(&image, KIOKU_ERROR_CORRUPT, "absurd number");
	image.size = 0;
	put_header(&image, CLASS_64, 4, 62, UINT64_MAX - 8, 0, 2);
	check_refused(&image, KIOKU_ERROR_CORRUPT, "outside the file");
	image.size = 0;
	put_header(&image, CLASS_32, 4, 3, 52, 0, 2);
	image.data[42] = 31; /* e_phentsize */
	check_refused(&image, KIOKU_ERROR_CORRUPT, "impossible size");
	image.size = 0;
	put_header(&image, CLASS_64, 4, 62, 64, 0, 2);
	image.data[4] = 3;
	check_refused(&image, KIOKU_ERROR_CORRUPT, "class");
	image.data[4] = 2;
	image.data[5] = 0;
	check_refused(&image, KIOKU_ERROR_CORRUPT, "byte order");
}

static void keeps_the_program_headers_there_are(void)
{
	struct image image = { 0 };
	struct heard heard;

	put_core(&image, &(struct load){ 1, 64, 0, 0x1000, 8, 8, 0 }, 1);
	image.data[56] = 200; /* e_phnum */
	AUTO_SOURCE struct kioku_source *source = open_image(&image, &heard);
	CHECK(source && heard.gaps == 1);
	CHECK_SAYS(heard.last, "the last 199 of 200");
	CHECK_EQUAL(range_count(source), 1);
}

/* makedumpfile -E stores neither zero pages nor those it was told to leave out. */
static void a_tail_is_excluded(void)
{
	const struct load loads[] = { { 1, 500, 0, 0x1000, 4, 0x1000, 0 },
				      { 1, 0, 0, 0x3000, 0, 0x1000, 0 },
				      { 1, UINT64_MAX, 0, 0x4000, 0, 0x1000, 0 } };
	struct image image = { 0 };
	struct heard heard;
	struct kioku_error error;
	char buffer[5];

	put_core(&image, loads, 3);
	pad_to(&image, 500);
	put_bytes(&image, "abcd", 4);
	AUTO_SOURCE struct kioku_source *source = open_image(&image, &heard);
	CHECK(source && heard.gaps == 0);
	CHECK_EQUAL(range_count(source), 3);
	CHECK_RANGE(source, 0, 0x1000, 4, KIOKU_RANGE_PRESENT);
	CHECK_RANGE(source, 1, 0x1004, 0xffc, KIOKU_RANGE_EXCLUDED);
	CHECK_RANGE(source, 2, 0x3000, 0x2000, KIOKU_RANGE_EXCLUDED);
	CHECK_EQUAL(kioku_source_read(source, 0x1000, buffer, 5, &error), KIOKU_ERROR_ABSENT);
	CHECK_EQUAL(error.address, 0x1004);
}

/* dump-guest-memory -p describes the same memory once for each mapping. */
static void overlaps_are_one(void)
{
	const struct load loads[] = { { 1, 500, 0xffff888000000000, 0x1000, 8, 8, 0 },
				      { 1, 502, 0xffffffff81000000, 0x1002, 4, 4, 0 },
				      { 1, 504, 0xffffc90000000000, 0x1004, 8, 8, 0 } };
	struct image image = { 0 };
	struct heard heard;

	put_core(&image, loads, 3);
	pad_to(&image, 500);
	put_bytes(&image, "0123456789ab", 12);
	AUTO_SOURCE struct kioku_source *source = open_image(&image, &heard);
	CHECK_EQUAL(range_count(source), 1);
	CHECK_RANGE(source, 0, 0x1000, 12, KIOKU_RANGE_PRESENT);
	for (int i = 0; i < 12; i++)
		CHECK_EQUAL(byte_at(source, 0x1000 + (uint64_t)i), "0123456789ab"[i]);
}

static void skips_segments_without_physical_address(void)
{
	const struct load loads[] = { { 1, 500, 0xffffc90000000000, UINT64_MAX, 4096, 4096, 0 },
				      { 1, 500, 0xffff888000001000, 0x1000, 4, 4, 0 } };
	struct image image = { 0 };
	struct heard heard;

	put_core(&image, loads, 2);
	pad_to(&image, 504);
	AUTO_SOURCE struct kioku_source *source = open_image(&image, &heard);
	CHECK(source && heard.gaps == 0);
	CHECK_EQUAL(range_count(source), 1);
	CHECK_RANGE(source, 0, 0x1000, 4, KIOKU_RANGE_PRESENT);
}

static void keeps_what_a_truncated_image_has(void)
{
	const struct load loads[] = { { 1, 500, 0, 0x1000, 0x1000, 0x1000, 0 },
				      { 1, 0x2000, 1, 0x3000, 0x1000, 0x2000, 0 },
				      { 1, UINT64_MAX - 2, 2, UINT64_MAX - 2, 16, 16, 0 } };
	struct image image = { 0 };
	struct heard heard;

	put_core(&image, loads, 3);
	pad_to(&image, 600);
	AUTO_SOURCE struct kioku_source *source = open_image(&image, &heard);
	CHECK_EQUAL(heard.gaps, 2);
	CHECK_SAYS(heard.last, "first at physical address 0x1064");
	CHECK_RANGE(source, 0, 0x1000, 100, KIOKU_RANGE_PRESENT);
	CHECK_RANGE(source, 1, 0x1064, 0xf9c, KIOKU_RANGE_UNREADABLE);
	CHECK_RANGE(source, 2, 0x3000, 0x1000, KIOKU_RANGE_UNREADABLE);
	CHECK_RANGE(source, 3, 0x4000, 0x1000, KIOKU_RANGE_EXCLUDED);
}

/* As QEMU writes them: each CPU's NT_PRSTATUS, then each CPU's own note, then the guest's. */
static void reads_notes_of_qemu(void)
{
	struct image image = { 0 }, notes = { 0 };
	struct heard heard;
	size_t count, size;

	put_prstatus(&notes, 0x11, 0x12);
	put_prstatus(&notes, 0x21, 0x22);
	put_qemu(&notes, 0x1000, 0x11, 0x12);
	put_qemu(&notes, 0x2000, 0x21, 0x22);
	put_note(&notes, "VMCOREINFO", 11, 0, "OSRELEASE=6.1\n", 14);
	put_core(&image,
		 (struct load[]){ { 4, 300, 0, 0, notes.size, notes.size, 0 },
				  { 1, 0, 0, 0x1000, 8, 8, 0 } },
		 2);
	pad_to(&image, 300);
	put_bytes(&image, notes.data, notes.size);
	AUTO_SOURCE struct kioku_source *source = open_image(&image, &heard);
	CHECK(source && heard.gaps + heard.others == 0);
	const struct kioku_cpu *cpus = kioku_source_cpus(source, &count);
	CHECK_EQUAL(count, 2);
	CHECK(cpus[0].cr3 == 0x1000 && cpus[0].rip == 0x11 && cpus[0].rsp == 0x12);
	CHECK(cpus[1].cr3 == 0x2000 && cpus[1].rip == 0x21 && cpus[1].rsp == 0x22);
	const char *text = kioku_source_vmcoreinfo(source, &size);
	CHECK(size == 14 && memcmp(text, "OSRELEASE=6.1\n", 14) == 0);
	CHECK_EQUAL(kioku_source_stats(source).bytes, 4096);
	check_every_truncation("", &image);
}

/* /proc/vmcore: no CR3; the space that was kept for more CPUs is zero. Several note segments. */
static void reads_notes_of_vmcore(void)
{
	struct image image = { 0 };
	struct heard heard;
	size_t count, size;

	put_core(&image,
		 (struct load[]){ { 4, 300, 0, 0, 500, 500, 0 },
				  { 1, 0, 0, 0x1000, 8, 8, 0 },
				  { 4, 800, 0, 0, 29, 29, 4 } },
		 3);
	pad_to(&image, 300);
	put_prstatus(&image, 0x31, 0x32);
	pad_to(&image, 800);
	put_note(&image, "VMCOREINFO", 11, 0, "A=1\n\n", 5); /* its padding was not written */
	image.size -= 3;
	AUTO_SOURCE struct kioku_source *source = open_image(&image, &heard);
	CHECK(source && heard.gaps == 0);
	const struct kioku_cpu *cpus = kioku_source_cpus(source, &count);
	CHECK_EQUAL(count, 1);
	CHECK(cpus[0].cr3 == 0 && cpus[0].rip == 0x31 && cpus[0].rsp == 0x32);
	CHECK(kioku_source_vmcoreinfo(source, &size) && size == 5);
}

/* VirtualBox does not count the NUL of a name, but pads as if it did. */
static void reads_notes_of_virtualbox(void)
{
	struct image image = { 0 }, notes = { 0 };
	uint8_t core[24] = { 0xde, 0xc0, 0x1a, 0xc0 }, cpu[1000] = { 0 };
	struct heard heard;
	size_t count;

	set_le64(cpu + 112, 0x41);
	set_le64(cpu + 120, 0x42);
	set_le64(cpu + 304, 0x4000);
	put_note(&notes, "VBCORE\0", 6, 0xb00, core, sizeof(core));
	put_note(&notes, "VBCPU\0\0", 5, 0xb01, cpu, sizeof(cpu));
	put_core(&image,
		 (struct load[]){ { 4, 300, 0, 0, notes.size, 0, 0 }, { 1, 301, 0, 0, 8, 8, 0 } },
		 2);
	pad_to(&image, 300);
	put_bytes(&image, notes.data, notes.size);
	AUTO_SOURCE struct kioku_source *source = open_image(&image, &heard);
	CHECK(source && heard.gaps == 0);
	const struct kioku_cpu *cpus = kioku_source_cpus(source, &count);
	CHECK_EQUAL(count, 1);
	CHECK(cpus[0].cr3 == 0x4000 && cpus[0].rip == 0x41 && cpus[0].rsp == 0x42);
}

static void reads_notes_aligned_to_8(void)
{
	struct image notes = { 0 };
	struct elf_header header = { .is_64 = true };
	struct elf_note note;
	uint64_t offset = 0;

	put(&notes, 4, 6);
	put(&notes, 4, 9);
	put(&notes, 4, 1);
	put_bytes(&notes, "HELLO", 6);
	pad_to(&notes, 24);
	put_bytes(&notes, "abcdefghi", 9);
	pad_to(&notes, 40);
	put(&notes, 4, 4);
	put(&notes, 4, 1);
	put(&notes, 4, 2);
	put_bytes(&notes, "GNU\0z", 5);
	struct bytes bytes = { notes.data, notes.size };
	CHECK(elf_note_decode(bytes, &header, 8, &offset, &note));
	CHECK(elf_note_is(&note, "HELLO", 1) && note.description.size == 9);
	CHECK_EQUAL(note.description.data[8], 'i');
	CHECK(elf_note_decode(bytes, &header, 8, &offset, &note));
	CHECK(elf_note_is(&note, "GNU", 2) && note.description.data[0] == 'z');
	CHECK(!elf_note_decode(bytes, &header, 8, &offset, &note));
	CHECK_EQUAL(offset, notes.size);
}

static void survives_damaged_notes(void)
{
	static const uint32_t sizes[][2] = {
		{ 0xffffffff, 4 }, { 4, 0xffffffff }, { 0xffffffff, 0xffffffff }, { 5, 500 }
	};

	for (size_t i = 0; i < 4; i++) {
		struct image image = { 0 };
		struct heard heard;
		size_t count;
		put_core(&image,
			 (struct load[]){ { 4, 300, 0, 0, 600, 600, 0 },
					  { 1, 0, 0, 0x1000, 8, 8, 0 } },
			 2);
		pad_to(&image, 300);
		put_prstatus(&image, 1, 2);
		put(&image, 4, sizes[i][0]);
		put(&image, 4, sizes[i][1]);
		put_fill(&image, 0, 1000);
		AUTO_SOURCE struct kioku_source *source = open_image(&image, &heard);
		CHECK(source && heard.gaps == 1);
		CHECK_SAYS(heard.last, "notes from file offset 0x290 on are damaged");
		kioku_source_cpus(source, &count);
		CHECK_EQUAL(count, 1);
	}
}

/* A terabyte of notes that are all alike must not keep anybody busy. */
static void bounds_notes(void)
{
	AUTO_FREE uint8_t *data = calloc(1, 8 << 20);
	struct image image = { 0 };
	struct heard heard;

	put_core(&image,
		 (struct load[]){ { 4, 4096, 0, 0, 1ull << 40, 1ull << 40, 0 },
				  { 1, 0, 0, 0x1000, 8, 8, 0 } },
		 2);
	memcpy(data, image.data, image.size);
	for (size_t i = 4096; i + 16 <= 8 << 20; i += 16)
		data[i] = 1; /* a name of 1 byte */
	alarm(10);
	AUTO_SOURCE struct kioku_source *source = open_as("", data, 8 << 20, &heard);
	CHECK(source && heard.gaps == 1);
	CHECK_SAYS(heard.last, "damaged");
}

static void refuses_a_core_of_a_process(void)
{
	struct image image = { 0 }, noted = { 0 };

	put_core(&image,
		 (struct load[]){ { 1, 500, 0x400000, 0, 8, 8, 0 },
				  { 1, 508, 0x7ffffff000, 0, 8, 8, 0 } },
		 2);
	check_refused(&image, KIOKU_ERROR_UNSUPPORTED, "a core of one process");

	put_core(&noted,
		 (struct load[]){ { 4, 300, 0, 0, 200, 200, 0 },
				  { 1, 0, 0x1000, 0x1000, 8, 8, 0 } },
		 2);
	pad_to(&noted, 300);
	put_note(&noted, "CORE", 5, 0x46494c45, "x", 1); /* NT_FILE */
	pad_to(&noted, 600);
	check_refused(&noted, KIOKU_ERROR_UNSUPPORTED, "a core of one process");
}

static void refuses_other_elf_files(void)
{
	static const char *const says[] = { "no type", "object file", "executable",
					    "shared library" };
	struct image empty = { 0 };

	for (unsigned type = 0; type < 4; type++) {
		struct image image = { 0 };
		put_header(&image, CLASS_64, type, 62, 64, 0, 0);
		check_refused(&image, KIOKU_ERROR_UNSUPPORTED, says[type]);
	}
	put_header(&empty, CLASS_64, 4, 62, 64, 0, 0);
	check_refused(&empty, KIOKU_ERROR_UNSUPPORTED, "without a segment");

	struct kioku_source *source;
	struct kioku_error error;
	CHECK_EQUAL(kioku_source_open("/proc/self/exe", NULL, &source, &error),
		    KIOKU_ERROR_UNSUPPORTED);
	CHECK_SAYS(error.message, "executable");
}

static void says_when_it_is_incomplete(void)
{
	struct image image = { 0 };
	struct heard heard;

	put_core(&image, &(struct load){ 1, 0, 0, 0x1000, 8, 8, 0 }, 1);
	image.data[48] = 1; /* e_flags */
	AUTO_SOURCE struct kioku_source *source = open_image(&image, &heard);
	CHECK(source && heard.gaps == 1);
	CHECK_SAYS(heard.last, "incomplete");
}

/* A core that gdb wrote of a process that was started for it. */
static void refuses_a_real_core_of_a_process(void)
{
	char folder[] = "/tmp/kioku-test-XXXXXX", command[256], core[64];
	char *arguments[] = { "sleep", "100", NULL };
	pid_t child;
	struct kioku_source *source;
	struct kioku_error error = { 0 };

	if (access("/usr/bin/gcore", X_OK) != 0)
		SKIP("gcore is not installed");
	CHECK(mkdtemp(folder));
	/* Not this program, whose sanitizer may have mapped terabytes. */
	CHECK(posix_spawnp(&child, "sleep", NULL, NULL, arguments, environ) == 0);
	snprintf(command, sizeof(command), "gcore -o %s/core %d >/dev/null 2>&1", folder,
		 (int)child);
	int result = system(command);
	kill(child, SIGKILL);
	snprintf(core, sizeof(core), "%s/core.%d", folder, (int)child);
	enum kioku_status status = kioku_source_open(core, NULL, &source, &error);
	unlink(core);
	CHECK(rmdir(folder) == 0);
	if (result != 0)
		SKIP("gcore may not trace here");
	CHECK_EQUAL(status, KIOKU_ERROR_UNSUPPORTED);
	CHECK_SAYS(error.message, "a core of one process");
}

TAP_MAIN(TEST(reads_every_class_and_order), TEST(decodes_fields), TEST(reads_large_counts),
	 TEST(refuses_absurd_counts), TEST(keeps_the_program_headers_there_are),
	 TEST(a_tail_is_excluded), TEST(overlaps_are_one),
	 TEST(skips_segments_without_physical_address), TEST(keeps_what_a_truncated_image_has),
	 TEST(reads_notes_of_qemu), TEST(reads_notes_of_vmcore), TEST(reads_notes_of_virtualbox),
	 TEST(reads_notes_aligned_to_8), TEST(survives_damaged_notes), TEST(bounds_notes),
	 TEST(refuses_a_core_of_a_process), TEST(refuses_other_elf_files),
	 TEST(says_when_it_is_incomplete), TEST(refuses_a_real_core_of_a_process))
