/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "format/vmcoreinfo_format.h"
#include "tap.h"

/* As a 6.12 kernel has it, shortened. */
static const char text[] = "OSRELEASE=6.12.95+deb12-amd64\n"
			   "BUILD-ID=0123456789abcdef0123456789abcdef01234567\n"
			   "PAGESIZE=4096\n"
			   "SYMBOL(init_uts_ns)=ffffffff8281c0a0\n"
			   "OFFSET(uts_namespace.name)=0\n"
			   "SIZE(page)=64\n"
			   "LENGTH(mem_section)=2048\n"
			   "NUMBER(phys_base)=-1291845632\n"
			   "KERNELOFFSET=1e000000\n"
			   "NUMBER(phys_base)=7\n"
			   "NUMBER(least)=-9223372036854775808\n"
			   "NUMBER(none)=\n"
			   "NUMBER(large)=9223372036854775808\n"
			   "CRASHTIME=1700000000";
static const struct bytes sample = { (const uint8_t *)text, sizeof(text) - 1 };

static void finds_keys(void)
{
	struct bytes value;

	CHECK(vmcoreinfo_find(sample, "OSRELEASE", &value));
	CHECK(value.size == 19 && memcmp(value.data, "6.12.95+deb12-amd64", 19) == 0);
	CHECK(vmcoreinfo_find(sample, "CRASHTIME", &value) && value.size == 10);
	CHECK(vmcoreinfo_find(sample, "NUMBER(none)", &value) && value.size == 0);
	CHECK(!vmcoreinfo_find(sample, "RELEASE", &value));
	CHECK(!vmcoreinfo_find(sample, "SYMBOL(init_uts_n", &value));
	CHECK(!vmcoreinfo_find((struct bytes){ sample.data, 0 }, "OSRELEASE", &value));
}

static void reads_numbers(void)
{
	uint64_t hex = 0;
	int64_t number = 0;

	CHECK(vmcoreinfo_hex(sample, "SYMBOL(init_uts_ns)", &hex));
	CHECK_EQUAL(hex, 0xffffffff8281c0a0);
	CHECK(vmcoreinfo_hex(sample, "KERNELOFFSET", &hex));
	CHECK_EQUAL(hex, 0x1e000000);
	CHECK(vmcoreinfo_decimal(sample, "NUMBER(phys_base)", &number) && number == -1291845632);
	CHECK(vmcoreinfo_decimal(sample, "SIZE(page)", &number) && number == 64);
	CHECK(vmcoreinfo_decimal(sample, "NUMBER(least)", &number) && number == INT64_MIN);
	CHECK(!vmcoreinfo_decimal(sample, "NUMBER(large)", &number));
	CHECK(!vmcoreinfo_decimal(sample, "NUMBER(none)", &number));
	CHECK(!vmcoreinfo_decimal(sample, "OSRELEASE", &number));
	CHECK(!vmcoreinfo_hex(sample, "BUILD-ID", &hex)); /* has more than 64 bits */
	CHECK_EQUAL(number, INT64_MIN);
}

static void measures_a_page(void)
{
	uint8_t page[4096] = { 0 };

	memcpy(page, text, sizeof(text));
	CHECK_EQUAL(vmcoreinfo_length((struct bytes){ page, sizeof(page) }), sizeof(text) - 1);
	page[30] = 0x80;
	CHECK_EQUAL(vmcoreinfo_length((struct bytes){ page, sizeof(page) }), 30);
	CHECK_EQUAL(vmcoreinfo_length((struct bytes){ page, 20 }), 20);
	CHECK_EQUAL(vmcoreinfo_length((struct bytes){ page, 9 }), 0);
	page[0] = 'o';
	CHECK_EQUAL(vmcoreinfo_length((struct bytes){ page, sizeof(page) }), 0);
}

TAP_MAIN(TEST(finds_keys), TEST(reads_numbers), TEST(measures_a_page))
