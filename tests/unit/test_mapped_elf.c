/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ELF files in memory, as linkers and loaders leave them, and such as none would; and who has a deleted file's name. */
#include "kernel/mapped_elf.h"
#include "kernel/namesake.h"
#include "test_kernel.h"

#define START   (MADE_BASE + 0x200000)
#define LINKED  0x400000ull /* the address that the file is made for */
#define DYNAMIC 0x1000      /* in the file and in memory */
#define NAMES   0x1800
#define END     (MADE_BASE + MACHINE_SIZE)

static const char layout[] =
	"struct qstr 16 len u32@4 name u64@8\n"
	"struct hlist_bl_node 16 next u64@0 pprev u64@8\n"
	"struct hlist_head 8 first u64@0\n"
	"struct hlist_node 16 next u64@0 pprev u64@8\n"
	"struct dentry 192 d_hash hlist_bl_node@8 d_parent u64@24 d_name qstr@32 d_inode u64@48 "
	"d_iname char[32]@56 d_op u64@96 d_sb u64@104 d_fsdata u64@120 d_sib hlist_node@144 "
	"d_children hlist_head@160\n"
	"struct dentry_operations 128 d_dname u64@72\n";

static void put_entry(struct made *made, unsigned index, uint64_t tag, uint64_t value)
{
	made_put(made, START + DYNAMIC + 16 * index, 8, tag);
	made_put(made, START + DYNAMIC + 16 * index + 8, 8, value);
}

static struct elf_header header(uint32_t segments)
{
	return (struct elf_header){ .is_64 = true,
				    .type = ET_DYN,
				    .machine = EM_X86_64,
				    .segment_offset = ELF_HEADER_SIZE,
				    .segment_count = segments,
				    .segment_entry_size = ELF_SEGMENT_SIZE };
}

static void put_header(struct made *made, const struct elf_header *header)
{
	elf_header_encode(header, made_memory(made, START));
}

static void put_segment(struct made *made, unsigned index, const struct elf_segment *segment)
{
	elf_segment_encode(segment,
			   made_memory(made, START + ELF_HEADER_SIZE + ELF_SEGMENT_SIZE * index));
}

/* A library of two segments, which names two others. */
static void make_library(struct made *made, uint64_t names)
{
	const struct elf_header two = header(2);

	made_open(made, layout);
	put_header(made, &two);
	put_segment(made, 0,
		    &(struct elf_segment){ .type = PT_LOAD,
					   .flags = PF_R | PF_X,
					   .vaddr = LINKED,
					   .filesz = 0x2000,
					   .memsz = 0x2000 });
	put_segment(made, 1,
		    &(struct elf_segment){ .type = PT_DYNAMIC,
					   .offset = DYNAMIC,
					   .vaddr = LINKED + DYNAMIC,
					   .filesz = 16 * 8,
					   .memsz = 16 * 8 });
	put_entry(made, 0, DT_NEEDED, 1);
	put_entry(made, 1, DT_NEEDED, 5);
	put_entry(made, 2, DT_STRTAB, names);
	put_entry(made, 3, DT_STRSZ, 16);
	put_entry(made, 4, DT_SONAME, 9);
	put_entry(made, 5, DT_DEBUG, 0x1234);
	put_entry(made, 6, DT_FLAGS, DF_TEXTREL);
	put_entry(made, 7, DT_NULL, 0);
	memcpy(made_memory(made, START + NAMES), "\0a.1\0b.2\0self.so", 16);
}

static void open_library(struct made *made, struct mapped_elf *elf, struct mapped_dynamic *dynamic)
{
	CHECK_EQUAL(mapped_elf_open(&made->kernel.space, START, elf), KIOKU_OK);
	CHECK_EQUAL(mapped_elf_read_segments(elf), KIOKU_OK);
	CHECK_EQUAL(mapped_elf_dynamic(elf, dynamic), KIOKU_OK);
}

static void check_names(uint64_t names)
{
	struct made made;
	struct mapped_elf elf;
	struct mapped_dynamic dynamic;
	char name[ELF_MAPPED_NAME];

	make_library(&made, names);
	open_library(&made, &elf, &dynamic);
	CHECK(elf.base == LINKED && dynamic.needed_count == 2 && dynamic.debug == 0x1234);
	CHECK(dynamic.has_text_relocations);
	CHECK_EQUAL(mapped_elf_name(&elf, &dynamic, dynamic.needed[1], name), KIOKU_OK);
	CHECK(strcmp(name, "b.2") == 0);
	CHECK_EQUAL(mapped_elf_name(&elf, &dynamic, dynamic.name, name), KIOKU_OK);
	CHECK(strcmp(name, "self.so") == 0);
	CHECK_EQUAL(mapped_elf_name(&elf, &dynamic, 16, name), KIOKU_ERROR_CORRUPT);
	made_close(&made);
}

/* Some loaders make addresses of what linkers have written. */
static void reads_names_as_linked_and_as_loaded(void)
{
	check_names(LINKED + NAMES);
	check_names(START + NAMES);
}

static void knows_what_is_none(void)
{
	struct made made;
	struct mapped_elf elf;

	make_library(&made, LINKED + NAMES);
	CHECK_EQUAL(mapped_elf_open(&made.kernel.space, START + 0x1000, &elf),
		    KIOKU_ERROR_NOT_FOUND);
	CHECK(!elf.is_damaged);
	made_put(&made, START + EI_CLASS, 1, 9);
	CHECK_EQUAL(mapped_elf_open(&made.kernel.space, START, &elf), KIOKU_ERROR_CORRUPT);
	CHECK(elf.is_damaged);
	CHECK(mapped_elf_open(&made.kernel.space, END, &elf) != KIOKU_OK);
	made_close(&made);
}

static void survives_hostile_headers(void)
{
	static const uint32_t counts[] = { ELF_MAPPED_SEGMENTS + 1, 0xfffe, PN_XNUM };
	struct made made;
	struct mapped_elf elf;
	struct mapped_dynamic dynamic;

	make_library(&made, LINKED + NAMES);
	for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++) {
		const struct elf_header many = header(counts[i]);
		put_header(&made, &many);
		if (mapped_elf_open(&made.kernel.space, START, &elf) == KIOKU_OK)
			CHECK_EQUAL(mapped_elf_read_segments(&elf), KIOKU_ERROR_CORRUPT);
	}
	struct elf_header far = header(2);
	far.segment_offset = UINT64_MAX - 8;
	put_header(&made, &far);
	if (mapped_elf_open(&made.kernel.space, START, &elf) == KIOKU_OK)
		CHECK(mapped_elf_read_segments(&elf) != KIOKU_OK || elf.segments_size > 0);
	far.segment_offset = ELF_HEADER_SIZE;
	put_header(&made, &far);
	put_segment(&made, 1,
		    &(struct elf_segment){ .type = PT_DYNAMIC,
					   .vaddr = UINT64_MAX - 3,
					   .filesz = UINT64_MAX,
					   .memsz = UINT64_MAX });
	CHECK_EQUAL(mapped_elf_open(&made.kernel.space, START, &elf), KIOKU_OK);
	CHECK_EQUAL(mapped_elf_read_segments(&elf), KIOKU_OK);
	CHECK(mapped_elf_dynamic(&elf, &dynamic) != KIOKU_OK);
	made_close(&made);
}

static void survives_hostile_names(void)
{
	struct made made;
	struct mapped_elf elf;
	struct mapped_dynamic dynamic;
	char name[ELF_MAPPED_NAME];

	make_library(&made, LINKED + NAMES);
	put_entry(&made, 3, DT_STRSZ, UINT64_MAX);
	memset(made_memory(&made, START + NAMES), 'x', 0x800);
	open_library(&made, &elf, &dynamic);
	CHECK_EQUAL(mapped_elf_name(&elf, &dynamic, 1, name), KIOKU_ERROR_LIMIT);
	CHECK(mapped_elf_name(&elf, &dynamic, UINT64_MAX - 1, name) != KIOKU_OK);
	/* A text may end where memory does. */
	memcpy(made_memory(&made, END - 4), "end", 4);
	CHECK_EQUAL(mapped_text_read(&made.kernel.space, END - 4, name, sizeof(name)), KIOKU_OK);
	CHECK(strcmp(name, "end") == 0);
	memcpy(made_memory(&made, END - 4), "endx", 4);
	CHECK(mapped_text_read(&made.kernel.space, END - 4, name, sizeof(name)) != KIOKU_OK);
	made_close(&made);
}

/* --- names of deleted files */

#define DENTRIES (MADE_BASE + 0x110000)
#define INODES   (MADE_BASE + 0x103000)

static uint64_t dentry(unsigned i)
{
	return DENTRIES + 0x100 * i;
}

/* The i-th entry of folder 0, behind the one before; hashed unless it was deleted. */
static void put_entry_of_folder(struct made *made, unsigned i, const char *name, bool is_deleted)
{
	uint64_t at = dentry(i), before = i == 1 ? dentry(0) + 160 : dentry(i - 1) + 144;

	made_text(made, at + 56, name);
	made_set(made, at, "dentry", "d_parent", dentry(0));
	made_set(made, at, "dentry", "d_name.name", at + 56);
	made_set(made, at, "dentry", "d_name.len", strlen(name));
	made_set(made, at, "dentry", "d_sb", MADE_BASE + 0x1000);
	made_set(made, at, "dentry", "d_hash.pprev", is_deleted ? 0 : MADE_BASE + 8);
	made_set(made, at, "dentry", "d_inode", INODES + 0x400 * i);
	made_put(made, before, 8, at + 144);
	made_set(made, at, "dentry", "d_sib.pprev", before);
}

static enum namesake find(struct made *made, unsigned i)
{
	struct dentry of;

	CHECK_EQUAL(dentry_read(&made->kernel, dentry(i), &of), KIOKU_OK);
	return namesake_find(&made->kernel, &of);
}

static void finds_who_has_a_name(void)
{
	struct dentry found;
	struct made made;

	made_open(&made, layout);
	put_entry_of_folder(&made, 1, "old", true);
	put_entry_of_folder(&made, 2, "other", false);
	put_entry_of_folder(&made, 3, "gone", true);
	CHECK_EQUAL(find(&made, 1), NAMESAKE_NONE);
	put_entry_of_folder(&made, 4, "old", false);
	CHECK_EQUAL(find(&made, 1), NAMESAKE_THERE);
	CHECK_EQUAL(find(&made, 3), NAMESAKE_NONE);
	CHECK_EQUAL(namesake_in(&made.kernel, dentry(0), "other", &found), NAMESAKE_THERE);
	CHECK(found.address == dentry(2));
	CHECK_EQUAL(namesake_in(&made.kernel, dentry(0), "gone", NULL), NAMESAKE_NONE);
	/* A name that nothing is behind. */
	made_set(&made, dentry(2), "dentry", "d_inode", 0);
	CHECK_EQUAL(namesake_in(&made.kernel, dentry(0), "other", NULL), NAMESAKE_NONE);
	made_close(&made);
}

static void survives_hostile_folders(void)
{
	struct made made;

	made_open(&made, layout);
	put_entry_of_folder(&made, 1, "old", true);
	put_entry_of_folder(&made, 2, "a", false);
	put_entry_of_folder(&made, 3, "b", false);
	made_put(&made, dentry(3) + 144, 8, dentry(1) + 144); /* a circle */
	CHECK_EQUAL(find(&made, 1), NAMESAKE_UNKNOWN);
	made_put(&made, dentry(3) + 144, 8, 0x1234);
	CHECK_EQUAL(find(&made, 1), NAMESAKE_UNKNOWN);
	made_put(&made, dentry(3) + 144, 8, 0);
	CHECK_EQUAL(find(&made, 1), NAMESAKE_NONE);
	made_set(&made, dentry(2), "dentry", "d_parent", dentry(7)); /* of another folder */
	CHECK_EQUAL(find(&made, 1), NAMESAKE_UNKNOWN);
	made_close(&made);
}

TAP_MAIN(TEST(reads_names_as_linked_and_as_loaded), TEST(knows_what_is_none),
	 TEST(survives_hostile_headers), TEST(survives_hostile_names), TEST(finds_who_has_a_name),
	 TEST(survives_hostile_folders))
