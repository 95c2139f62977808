/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* /proc/PID/maps and smaps as kernels print them. */
#include <sys/mman.h>

#include "base/cleanup.h"
#include "base/scan.h"
#include "format/maps_format.h"
#include "tap.h"

#define AUTO_LIST CLEANUP(mapping_list_release)

static bool is_named(const struct mapping *mapping, const char *name)
{
	return bytes_equal(mapping->name, bytes_of_text(name));
}

static void lists_maps(void)
{
	AUTO_LIST struct mapping_list list = { 0 };

	CHECK_EQUAL(
		maps_list(
			bytes_of_text(
				"565029860000-565029865000 r-xp 00002000 fe:00 247134"
				"                     /usr/bin/cat\n"
				"7f0000000000-7f0000001000 rw-s 00000000 00:01 18446744073709551615"
				" /dev/zero (deleted)\n"
				"7f0000001000-7f0000002000 ---p 00000000 00:00 0 \n"
				"7ffc0eaca000-7ffc0eaeb000 rw-p 00000000 00:00 0"
				"                          [anon:a  b\\012c ]\n"
				"ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0"
				"                  [vsyscall]\n"),
			&list),
		MAPS_OK);
	CHECK_EQUAL(list.count, 5);
	const struct mapping *mapping = list.mappings;
	CHECK_EQUAL(mapping[0].start, 0x565029860000);
	CHECK_EQUAL(mapping[0].end, 0x565029865000);
	CHECK_EQUAL(mapping[0].permissions, PROT_READ | PROT_EXEC);
	CHECK_EQUAL(mapping[0].file_offset, 0x2000);
	CHECK(mapping[0].device_major == 0xfe && mapping[0].device_minor == 0);
	CHECK_EQUAL(mapping[0].inode, 247134);
	CHECK(is_named(&mapping[0], "/usr/bin/cat") && !mapping_is_deleted(&mapping[0]));
	CHECK(mapping[1].is_shared && mapping_is_deleted(&mapping[1]));
	CHECK_EQUAL(mapping[1].inode, UINT64_MAX);
	CHECK(mapping[2].permissions == 0 && mapping[2].name.size == 0 && !mapping[2].is_shared);
	CHECK(is_named(&mapping[3], "[anon:a  b\\012c ]"));
	CHECK_EQUAL(mapping[4].start, 0xffffffffff600000);
	CHECK_EQUAL(mapping[4].flags, 0);
	CHECK(mapping_list_find(&list, 0x565029864fff) == &mapping[0]);
	CHECK(!mapping_list_find(&list, 0x565029865000) && !mapping_list_find(&list, 0));
	CHECK(mapping_list_find(&list, 0xffffffffff600000) == &mapping[4]);
}

static void lists_smaps(void)
{
	AUTO_LIST struct mapping_list list = { 0 };

	CHECK_EQUAL(maps_list(bytes_of_text("1000-3000 rw-p 00000000 00:00 0\n"
					    "Size:                  8 kB\n"
					    "KernelPageSize:     2048 kB\n"
					    "Rss:                   8 kB\n"
					    "Anonymous:             4 kB\n"
					    "AnonHugePages:      2048 kB\n"
					    "Shared_Hugetlb:        1 kB\n"
					    "Private_Hugetlb:       2 kB\n"
					    "Swap:                  3 kB\n"
					    "SwapPss:              77 kB\n"
					    "Locked:                5 kB\n"
					    "THPeligible:           0\n"
					    "Something_New: whatever\n"
					    "VmFlags: rd wr mr mw me dc wf dd io pf ht \n"
					    "3000-4000 r--p 00000000 00:00 0 [vvar]\n"
					    "VmFlags: rd mr um uw ui ss gu sl dp lo sd gd mm zz\n"),
			      &list),
		    MAPS_OK);
	CHECK_EQUAL(list.count, 2);
	const struct mapping *mapping = &list.mappings[0];
	CHECK_EQUAL(mapping->page_size, 2 << 20);
	CHECK_EQUAL(mapping->resident, 8192);
	CHECK_EQUAL(mapping->anonymous, 4096);
	CHECK_EQUAL(mapping->anonymous_huge, 2 << 20);
	CHECK_EQUAL(mapping->shared_hugetlb, 1024);
	CHECK_EQUAL(mapping->private_hugetlb, 2048);
	CHECK_EQUAL(mapping->swapped, 3072);
	CHECK_EQUAL(mapping->locked, 5120);
	CHECK_EQUAL(mapping->flags, MAPPING_FLAGS_KNOWN | MAPPING_DONTFORK | MAPPING_WIPEONFORK |
					    MAPPING_DONTDUMP | MAPPING_DEVICE | MAPPING_PFNMAP |
					    MAPPING_HUGETLB);
	CHECK_EQUAL(list.mappings[1].flags,
		    MAPPING_FLAGS_KNOWN | MAPPING_FLAG_UNKNOWN | MAPPING_UFFD_MISSING |
			    MAPPING_UFFD_PROTECTED | MAPPING_UFFD_MINOR | MAPPING_SHADOW_STACK |
			    MAPPING_MAYBE_GUARD | MAPPING_SEALED | MAPPING_DROPPABLE |
			    MAPPING_LOCKED | MAPPING_SOFT_DIRTY | MAPPING_GROWS_DOWN |
			    MAPPING_MIXED);
	CHECK_EQUAL(list.mappings[1].resident, 0);
}

static void cuts_what_was_merged_meanwhile(void)
{
	AUTO_LIST struct mapping_list list = { 0 };

	CHECK_EQUAL(maps_list(bytes_of_text("1000-3000 r--p 00000000 00:01 5 /a\n"
					    "1000-4000 r--p 00000000 00:01 5 /a\n"
					    "2000-4000 r--p 00001000 00:01 5 /a\n"),
			      &list),
		    MAPS_OK);
	CHECK_EQUAL(list.count, 2);
	CHECK_EQUAL(list.mappings[1].start, 0x3000);
	CHECK_EQUAL(list.mappings[1].end, 0x4000);
	CHECK_EQUAL(list.mappings[1].file_offset, 0x2000);
}

static void says_what_is_damaged(void)
{
	static const char *const damaged[] = {
		"1000-1000 r--p 00000000 00:01 5 /a\n",
		"1000-2000 r-- p 00000000 00:01 5\n",
		"1000-2000 r--p 00000000 00:01\n",
		"1000-2000 r--p 0 1:123456789 5\n",
		"1000-2000 r--p 0 0:0 99999999999999999999\n",
		"1000-2000 r--p 0 0:0 0\nRss: x kB\n",
		"1000-2000 r--p 0 0:0 0\nRss: 99999999999999999 kB\n",
		"\n",
	};

	for (size_t i = 0; i < sizeof(damaged) / sizeof(*damaged); i++) {
		AUTO_LIST struct mapping_list list = { 0 };
		CHECK_EQUAL(maps_list(bytes_of_text(damaged[i]), &list), MAPS_DAMAGED);
		CHECK_EQUAL(list.count, 0);
	}
}

/* In a stop there is no time to allocate. */
static void allocates_nothing_twice(void)
{
	AUTO_LIST struct mapping_list list = { 0 };

	CHECK(mapping_list_reserve(&list, 2));
	const struct mapping *before = list.mappings;
	CHECK_EQUAL(maps_list(bytes_of_text("1-2 r--p 0 0:0 0\n2-3 r--p 0 0:0 0\n"), &list),
		    MAPS_OK);
	CHECK(list.mappings == before && list.count == 2);
	CHECK_EQUAL(maps_list(bytes_of_text(""), &list), MAPS_OK);
	CHECK_EQUAL(list.count, 0);
}

TAP_MAIN(TEST(lists_maps), TEST(lists_smaps), TEST(cuts_what_was_merged_meanwhile),
	 TEST(says_what_is_damaged), TEST(allocates_nothing_twice))
