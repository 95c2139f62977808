/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* /proc/iomem as kernels print it. */
#include "base/cleanup.h"
#include "format/iomem_format.h"
#include "tap.h"

static enum iomem_verdict list(const char *text, struct range_map *ram)
{
	*ram = (struct range_map){ 0 };
	return iomem_list_ram((struct bytes){ (const uint8_t *)text, strlen(text) }, ram);
}

#define CHECK_EXTENT(ram, index, first_, last_)                                    \
	do {                                                                       \
		CHECK((ram).count > (index));                                      \
		CHECK_EQUAL((ram).extents[index].start, (first_));                 \
		CHECK_EQUAL((ram).extents[index].size, (last_) - (first_) + 1ull); \
		CHECK_EQUAL((ram).extents[index].offset, (first_));                \
	} while (0)

static void lists_ram_to_the_byte(void)
{
	CLEANUP(range_map_release) struct range_map ram;

	CHECK_EQUAL(list("00000000-00000fff : Reserved\n"
			 "00001000-0009fbff : System RAM\n"
			 "0009fc00-0009ffff : Reserved\n"
			 "00100000-3ffdefff : System RAM\n"
			 "  1a000000-1ae021f2 : Kernel code\n"
			 "  3b000000-3effffff : Crash kernel\n"
			 "3ffdf000-3fffffff : Reserved\n"
			 "fed00000-fed003ff : HPET 0\n"
			 "100000000-13fffffff : System RAM\n",
			 &ram),
		    IOMEM_OK);
	CHECK_EQUAL(ram.count, 3);
	CHECK_EXTENT(ram, 0, 0x1000, 0x9fbff);
	CHECK_EXTENT(ram, 1, 0x100000, 0x3ffdefff);
	CHECK_EXTENT(ram, 2, 0x100000000, 0x13fffffff);
}

/* dax/kmem, virtio-mem and CXL put RAM below resources of their own. */
static void lists_nested_ram(void)
{
	CLEANUP(range_map_release) struct range_map ram;

	CHECK_EQUAL(list("00100000-7fffffff : System RAM\n"
			 "140000000-1bfffffff : Persistent Memory\n"
			 "  140000000-1bfffffff : namespace0.0\n"
			 "    148000000-1bfffffff : dax0.0\n"
			 "      148000000-1b7ffffff : System RAM (kmem)\n"
			 "1c0000000-2bfffffff : 0000:00:04.0\n"
			 "  1c0000000-2bfffffff : virtio_mem\n"
			 "    1c0000000-1c7ffffff : System RAM (virtio_mem)\n"
			 "    1d0000000-1d7ffffff : System RAM (virtio_mem)\n"
			 "  300000000-300000fff : System RAMdisk\n",
			 &ram),
		    IOMEM_OK);
	CHECK_EQUAL(ram.count, 4);
	CHECK_EXTENT(ram, 1, 0x148000000, 0x1b7ffffff);
	CHECK_EXTENT(ram, 2, 0x1c0000000, 0x1c7ffffff);
	CHECK_EXTENT(ram, 3, 0x1d0000000, 0x1d7ffffff);
}

static void joins_what_touches_or_overlaps(void)
{
	CLEANUP(range_map_release) struct range_map ram;

	CHECK_EQUAL(list("00100000-001fffff : System RAM\n"
			 "  00180000-0018ffff : System RAM\n"
			 "00200000-002fffff : System RAM",
			 &ram),
		    IOMEM_OK);
	CHECK_EQUAL(ram.count, 1);
	CHECK_EXTENT(ram, 0, 0x100000, 0x2fffff);
}

static void ends_with_the_address_space(void)
{
	CLEANUP(range_map_release) struct range_map ram;

	CHECK_EQUAL(list("0-ffffffffffffffff : System RAM\n", &ram), IOMEM_OK);
	CHECK_EQUAL(ram.count, 1);
	CHECK_EQUAL(ram.extents[0].size, UINT64_MAX);
}

static void knows_what_it_may_not_see(void)
{
	CLEANUP(range_map_release) struct range_map ram, none, damaged;

	CHECK_EQUAL(list("00000000-00000000 : Reserved\n"
			 "00000000-00000000 : System RAM\n"
			 "  00000000-00000000 : Kernel code\n",
			 &ram),
		    IOMEM_HIDDEN);
	CHECK_EQUAL(list("00000000-00000fff : Reserved\n", &none), IOMEM_NO_RAM);
	CHECK_EQUAL(list("00001000-00001fff : System RAM\n00002000-0000", &damaged), IOMEM_DAMAGED);
}

static void decodes_lines(void)
{
	static const char text[] = "    00001000-00001fff : a : b\n1-0 : backwards\n"
				   "12345678123456789-0 : wide\n\n1-2 : ";
	struct bytes bytes = { (const uint8_t *)text, sizeof(text) - 1 };
	struct iomem_resource resource;
	size_t offset = 0;

	CHECK(iomem_decode(bytes, &offset, &resource));
	CHECK(resource.first == 0x1000 && resource.last == 0x1fff && resource.depth == 2);
	CHECK(resource.name.size == 5 && memcmp(resource.name.data, "a : b", 5) == 0);
	CHECK(!iomem_decode(bytes, &offset, &resource));
	CHECK(!iomem_decode(bytes, &offset, &resource));
	CHECK(!iomem_decode(bytes, &offset, &resource));
	CHECK(iomem_decode(bytes, &offset, &resource));
	CHECK_EQUAL(resource.name.size, 0);
	CHECK_EQUAL(offset, bytes.size);
	CHECK(!iomem_decode(bytes, &offset, &resource));
}

TAP_MAIN(TEST(lists_ram_to_the_byte), TEST(lists_nested_ram), TEST(joins_what_touches_or_overlaps),
	 TEST(ends_with_the_address_space), TEST(knows_what_it_may_not_see), TEST(decodes_lines))
