/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Configurations in made memory: lines, the kernel's own copy, pages in rows, out of order, of two kernels, and lies. */
#include <zlib.h>

#include "base/scan.h"
#include "kconfig/kconfig.h"
#include "test_kernel.h"

#define OPTIONS 2000
#define PAGES   64 /* room for a configuration */
#define TEXT_AT 0x100000u

struct found {
	size_t count, certain, likely, possible;
	struct {
		char name[64], value[64];
	} rows[4 * OPTIONS];
};

struct config {
	char text[PAGES * PAGE_SIZE];
	size_t size, pages;
};

static void add(struct config *config, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	config->size += (size_t)vsnprintf(config->text + config->size,
					  sizeof(config->text) - config->size, format, arguments);
	va_end(arguments);
	CHECK(config->size < sizeof(config->text));
	config->pages = (config->size + PAGE_SIZE - 1) / PAGE_SIZE;
}

/* Every seventh option has another value in another variant. */
static void make(struct config *config, const char *version, unsigned variant)
{
	static const char *const words[] = { "NET",   "SCSI",     "CRYPTO",  "VIDEO",
					     "DEBUG", "KEYBOARD", "SENSORS", "FS" };

	memset(config, 0, sizeof(*config));
	add(config, "#\n# Automatically generated file; DO NOT EDIT.\n");
	add(config, "# Linux/x86 %s Kernel Configuration\n#\n", version);
	add(config, "CONFIG_CC_VERSION_TEXT=\"gcc-12 (Debian) 12.2.0\"\n");
	for (unsigned i = 0; i < OPTIONS; i++) {
		unsigned kind = (i + (i % 7 == 0 ? variant : 0)) % 4;
		const char *one = words[i % 8], *two = words[i / 8 % 8];
		if (i % 50 == 0)
			add(config, "\n#\n# Part %u\n#\n", i);
		if (kind == 0)
			add(config, "# CONFIG_%s_%s_X%uY is not set\n", one, two, i);
		else if (kind == 3)
			add(config, "CONFIG_%s_%s_X%uY=\"%u\"\n", one, two, i, i);
		else
			add(config, "CONFIG_%s_%s_X%uY=%s\n", one, two, i, kind == 1 ? "y" : "m");
	}
}

static enum kioku_status keep(void *user, const struct config_row *row)
{
	struct found *found = user;

	CHECK(found->count < sizeof(found->rows) / sizeof(*found->rows));
	CHECK(row->line.name.size < 64 && row->line.value.size < 64);
	memcpy(found->rows[found->count].name, row->line.name.data, row->line.name.size);
	memcpy(found->rows[found->count++].value, row->line.value.data, row->line.value.size);
	found->certain += row->certainty == CONFIG_CERTAIN;
	found->likely += row->certainty == CONFIG_LIKELY;
	found->possible += row->certainty == CONFIG_POSSIBLE;
	return KIOKU_OK;
}

static enum kioku_status look(struct made *made, bool all, struct found *found)
{
	const struct config_request request = { .all = all, .row = keep, .user = found };

	memset(found, 0, sizeof(*found));
	made->gaps = 0;
	return kconfig_find(&made->kernel, &request, NULL);
}

/* How many rows are no lines of a configuration. */
static size_t wrong(const struct found *found, const struct config *config)
{
	size_t count = 0;

	for (size_t i = 0; i < found->count; i++) {
		char line[160];
		if (strcmp(found->rows[i].value, "n") == 0)
			snprintf(line, sizeof(line), "\n# %s is not set\n", found->rows[i].name);
		else
			snprintf(line, sizeof(line), "\n%s=%s\n", found->rows[i].name,
				 found->rows[i].value);
		count += strstr(config->text, line) == NULL;
	}
	return count;
}

static void put_page(struct made *made, size_t place, const struct config *config, size_t page)
{
	memcpy(made->machine.memory + TEXT_AT + place * PAGE_SIZE, config->text + page * PAGE_SIZE,
	       PAGE_SIZE);
}

static const char no_types[] = "struct list_head 16 next *@0\n";

static void open_made(struct made *made, const char *banner)
{
	made_open(made, no_types);
	made->kernel.banner = (char *)banner;
}

static struct config one, two;
static struct found found;

static void lines(void)
{
	static const struct {
		const char *text;
		enum kconfig_line_kind kind;
		const char *value;
	} cases[] = {
		{ "CONFIG_X=y", KCONFIG_OPTION, "y" },
		{ "CONFIG_64BIT=m", KCONFIG_OPTION, "m" },
		{ "CONFIG_X=-1", KCONFIG_OPTION, "-1" },
		{ "CONFIG_X=0xffffffff81000000", KCONFIG_OPTION, "0xffffffff81000000" },
		{ "CONFIG_X=\"\"", KCONFIG_OPTION, "\"\"" },
		{ "CONFIG_X=\"a \\\" b\"", KCONFIG_OPTION, "\"a \\\" b\"" },
		{ "# CONFIG_X is not set", KCONFIG_OPTION, "n" },
		{ "", KCONFIG_COMMENT, "" },
		{ "# end of General setup", KCONFIG_COMMENT, "" },
		{ "# Linux/x86 6.1.192 Kernel Configuration", KCONFIG_TITLE, "6.1.192" },
		{ "# Automatically generated file; DO NOT EDIT.", KCONFIG_START, "" },
		{ "CONFIG_X", KCONFIG_NONE, "" },
		{ "CONFIG_=y", KCONFIG_NONE, "" },
		{ "CONFIG_X=yes", KCONFIG_NONE, "" },
		{ "CONFIG_X=", KCONFIG_NONE, "" },
		{ "CONFIG_X=\"a\"b\"", KCONFIG_NONE, "" },
		{ "CONFIG_X=\"a\\\"", KCONFIG_NONE, "" },
		{ "CONFIG_X=0x", KCONFIG_NONE, "" },
		{ "CONFIG_X=-", KCONFIG_NONE, "" },
		{ "CONFIG_X=\"\033[2J\"", KCONFIG_NONE, "" },
		{ " CONFIG_X=y", KCONFIG_NONE, "" },
		{ "export CONFIG_X=y", KCONFIG_NONE, "" },
	};
	struct kconfig_line line;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		CHECK_EQUAL(kconfig_line_decode(bytes_of_text(cases[i].text), &line),
			    cases[i].kind);
		CHECK(bytes_equal(line.value, bytes_of_text(cases[i].value)));
	}
}

static size_t pack(const struct config *config, uint8_t *out, size_t room)
{
	z_stream stream = { .next_in = (uint8_t *)config->text,
			    .avail_in = (uInt)config->size,
			    .next_out = out + IKCONFIG_MARK_SIZE,
			    .avail_out = (uInt)(room - 2 * IKCONFIG_MARK_SIZE) };

	CHECK(deflateInit2(&stream, 9, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
	CHECK(deflate(&stream, Z_FINISH) == Z_STREAM_END);
	size_t size = stream.total_out;
	deflateEnd(&stream);
	memcpy(out, IKCONFIG_START, IKCONFIG_MARK_SIZE);
	memcpy(out + IKCONFIG_MARK_SIZE + size, IKCONFIG_END, IKCONFIG_MARK_SIZE);
	return size + 2 * IKCONFIG_MARK_SIZE;
}

/* Both forms of the symbol; a copy elsewhere in memory is not asked. */
static void built_in(void)
{
	struct made made;

	make(&one, "6.1.5", 0);
	make(&two, "5.10.7", 1);
	for (unsigned before = 0; before <= IKCONFIG_MARK_SIZE; before += IKCONFIG_MARK_SIZE) {
		open_made(&made, "Linux version 6.1.5 (me) (gcc-12 (Debian) 12.2.0, GNU ld) #1");
		made.kernel.proof = PROOF_ALIVE;
		made.kernel.image = (struct image){ .start = MADE_BASE + 0x20000,
						    .physical = 0x20000,
						    .end = MADE_BASE + 0x80000 };
		pack(&one, made_memory(&made, MADE_BASE + 0x30123), 0x20000);
		pack(&two, made_memory(&made, MADE_BASE + 0x90000), 0x20000);
		for (size_t i = 0; i < two.pages; i++)
			put_page(&made, i, &two, i);
		made_symbol(&made, "kernel_config_data", MADE_BASE + 0x30123 + before);
		CHECK_EQUAL(look(&made, false, &found), KIOKU_OK);
		CHECK_EQUAL(made.gaps, 0);
		/* And CONFIG_IKCONFIG itself, which the made one does not have. */
		CHECK_EQUAL(found.count, OPTIONS + 2);
		CHECK_EQUAL(found.certain, OPTIONS + 2);
		CHECK_EQUAL(wrong(&found, &one), 1);
		CHECK(strcmp(found.rows[OPTIONS + 1].name, "CONFIG_IKCONFIG") == 0);
		made_close(&made);
	}
}

static void built_in_damaged(void)
{
	struct made made;

	make(&one, "6.1.5", 0);
	open_made(&made, "Linux version 6.1.5 (me) (gcc-12 (Debian) 12.2.0, GNU ld) #1");
	made.kernel.proof = PROOF_ALIVE;
	made.kernel.image = (struct image){ .start = MADE_BASE + 0x20000,
					    .physical = 0x20000,
					    .end = MADE_BASE + 0x80000 };
	size_t size = pack(&one, made_memory(&made, MADE_BASE + 0x30000), 0x20000);
	made_symbol(&made, "kernel_config_data", MADE_BASE + 0x30008);
	uint8_t *packed = made_memory(&made, MADE_BASE + 0x30000);
	for (size_t at = 9; at < size; at += 41) {
		packed[at] ^= 0x55;
		CHECK_EQUAL(look(&made, false, &found), KIOKU_OK);
		CHECK(found.count == 1 ||
		      found.count == OPTIONS + 2); /* header bytes tell nothing */
		CHECK(made.gaps > 0 || found.count == OPTIONS + 2);
		packed[at] ^= 0x55;
	}
	/* A size that is a lie, and one that is too large. */
	memset(packed + size - 12, 0xff, 4);
	CHECK_EQUAL(look(&made, false, &found), KIOKU_OK);
	CHECK_EQUAL(found.count, 1);
	made_close(&made);
}

static void pages_in_a_row(void)
{
	struct made made;

	make(&one, "6.1.5", 0);
	for (unsigned backwards = 0; backwards < 2; backwards++) {
		open_made(&made, "Linux version 6.1.5 (me) (gcc-12 (Debian) 12.2.0, GNU ld) #1");
		for (size_t i = 0; i < one.pages; i++)
			put_page(&made, backwards ? one.pages - i : i, &one, i);
		CHECK_EQUAL(look(&made, false, &found), KIOKU_OK);
		CHECK_EQUAL(made.gaps, 0);
		CHECK_EQUAL(found.count, OPTIONS + 1);
		CHECK_EQUAL(wrong(&found, &one), 0);
		CHECK_EQUAL(found.likely, OPTIONS + 1 - found.possible);
		CHECK(found.possible < one.pages);
		made_close(&made);
	}
}

/* What is at the borders of pages cannot be told, and that is said; nothing is wrong. */
static void pages_out_of_order(void)
{
	struct made made;

	make(&one, "6.1.5", 0);
	open_made(&made, "Linux version 6.1.5 (me) (gcc-12 (Debian) 12.2.0, GNU ld) #1");
	for (size_t i = 0; i < one.pages; i++)
		put_page(&made, i * 5 % one.pages * 2, &one, i);
	CHECK(one.pages % 5 != 0);
	CHECK_EQUAL(look(&made, false, &found), KIOKU_OK);
	CHECK(made.gaps > 0);
	CHECK(found.count + one.pages > OPTIONS);
	CHECK_EQUAL(wrong(&found, &one), 0);
	made_close(&made);
}

static void page_lost(void)
{
	struct made made;

	make(&one, "6.1.5", 0);
	open_made(&made, NULL);
	for (size_t i = 0; i < one.pages; i++)
		if (i != 3)
			put_page(&made, i, &one, i);
	CHECK_EQUAL(look(&made, false, &found), KIOKU_OK);
	CHECK(made.gaps > 0);
	CHECK(found.count < OPTIONS - 90);
	CHECK_EQUAL(wrong(&found, &one), 0);
	CHECK_EQUAL(found.possible, found.count);
	made_close(&made);
}

/* Unaligned, between other bytes, as in an archive. */
static void in_an_archive(void)
{
	struct made made;

	make(&one, "6.1.5", 0);
	open_made(&made, NULL);
	uint8_t *memory = made.machine.memory + TEXT_AT + 777;
	memcpy(memory, "070701...boot/config-6.1.5\0\0", 28);
	memcpy(memory + 28, one.text, one.size);
	memcpy(memory + 28 + one.size,
	       "\0\0\0"
	       "070701",
	       9);
	CHECK_EQUAL(look(&made, false, &found), KIOKU_OK);
	CHECK_EQUAL(made.gaps, 0);
	CHECK_EQUAL(found.count, OPTIONS + 1);
	CHECK_EQUAL(wrong(&found, &one), 0);
	made_close(&made);
}

/* The banner chooses; without one that fits, none is taken. */
static void two_kernels(void)
{
	struct made made;

	make(&one, "6.1.5", 0);
	make(&two, "6.1.51", 1);
	open_made(&made, NULL);
	for (size_t i = 0; i < one.pages; i++)
		put_page(&made, i, &one, i);
	for (size_t i = 0; i < two.pages; i++)
		put_page(&made, one.pages + 3 + i, &two, i);
	made.kernel.banner = "Linux version 6.1.5 (me) (gcc-12 (Debian) 12.2.0, GNU ld) #1";
	CHECK_EQUAL(look(&made, false, &found), KIOKU_OK);
	CHECK_EQUAL(found.count, OPTIONS + 1);
	CHECK_EQUAL(wrong(&found, &one), 0);
	made.kernel.banner = "Linux version 6.1.51 (me) (gcc-12 (Debian) 12.2.0, GNU ld) #1";
	CHECK_EQUAL(look(&made, false, &found), KIOKU_OK);
	CHECK_EQUAL(found.count, OPTIONS + 1);
	CHECK_EQUAL(wrong(&found, &two), 0);
	made.kernel.banner = "Linux version 6.1.511 (me) (gcc-12 (Debian) 12.2.0, GNU ld) #1";
	CHECK_EQUAL(look(&made, false, &found), KIOKU_OK);
	CHECK_EQUAL(found.count, 0);
	CHECK(made.gaps > 0);
	made.kernel.banner = "Linux version 6.1.5 (me) (gcc-13 (Debian) 13.1.0, GNU ld) #1";
	CHECK_EQUAL(look(&made, false, &found), KIOKU_OK);
	CHECK_EQUAL(found.count, 0);
	CHECK_EQUAL(look(&made, true, &found), KIOKU_OK);
	CHECK_EQUAL(found.count, 2 * (OPTIONS + 1));
	made_close(&made);
}

/* Pages of both in one heap: what both do not agree on is left out. */
static void two_kernels_mixed(void)
{
	struct made made;

	make(&one, "6.1.5", 0);
	make(&two, "6.1.51", 1);
	open_made(&made, "Linux version 6.1.5 (me) (gcc-12 (Debian) 12.2.0, GNU ld) #1");
	for (size_t i = 0; i < one.pages; i++)
		put_page(&made, i * 5 % one.pages * 3, &one, i);
	for (size_t i = 0; i < two.pages; i++)
		put_page(&made, i * 5 % two.pages * 3 + 1, &two, i);
	CHECK_EQUAL(look(&made, false, &found), KIOKU_OK);
	CHECK(found.count > 0);
	CHECK_EQUAL(wrong(&found, &one), 0);
	made_close(&made);
}

/* Facts: what the kernel has for certain is said, and what contradicts it. */
static void contradicted(void)
{
	struct made made;

	memset(&one, 0, sizeof(one));
	add(&one, "#\n# Automatically generated file; DO NOT EDIT.\n"
		  "# Linux/x86 6.1.5 Kernel Configuration\n#\n");
	for (unsigned i = 0; i < 30; i++)
		add(&one, "CONFIG_X%u=y\n", i);
	add(&one, "# CONFIG_NUMA is not set\nCONFIG_AUDIT=y\nCONFIG_X29=m\n");
	open_made(&made, "Linux version 6.1.5 (me) (gcc-12 (Debian) 12.2.0, GNU ld) #1");
	put_page(&made, 0, &one, 0);
	made_symbol(&made, "__mpol_dup", MADE_BASE);
	made_symbol(&made, "audit_log_start", MADE_BASE + 16);
	CHECK_EQUAL(look(&made, false, &found), KIOKU_OK);
	CHECK(strstr(made.last, "CONFIG_NUMA"));
	/* The last line of an option that is there twice counts; NUMA comes at the end. */
	CHECK_EQUAL(found.count, 32);
	CHECK(strcmp(found.rows[30].name, "CONFIG_X29") == 0);
	CHECK(strcmp(found.rows[30].value, "m") == 0);
	CHECK(strcmp(found.rows[31].name, "CONFIG_NUMA") == 0);
	CHECK(strcmp(found.rows[31].value, "y") == 0);
	CHECK_EQUAL(found.certain, 2);
	made_close(&made);
}

static void nothing(void)
{
	struct made made;

	open_made(&made, NULL);
	CHECK_EQUAL(look(&made, false, &found), KIOKU_ERROR_NOT_FOUND);
	CHECK_EQUAL(look(&made, true, &found), KIOKU_ERROR_NOT_FOUND);
	made_close(&made);
}

/* Text that is no configuration, though it is full of options. */
static void other_text(void)
{
	struct made made;

	open_made(&made, NULL);
	char *memory = (char *)made.machine.memory + TEXT_AT + 100;
	for (unsigned i = 0; i < 3000; i++)
		memory += sprintf(memory, "#ifdef CONFIG_X%u\nint x = CONFIG_Y%u;\n#endif\n", i, i);
	memory += sprintf(memory,
			  "\nAsk for these:\nCONFIG_A=y\nCONFIG_B=y\nCONFIG_C=m\nThat is it.\n");
	CHECK_EQUAL(look(&made, false, &found), KIOKU_ERROR_NOT_FOUND);
	made_close(&made);
}

/* All of memory is the same page, or lines without an end. */
static void hostile(void)
{
	struct made made;

	make(&one, "6.1.5", 0);
	open_made(&made, NULL);
	for (size_t at = TEXT_AT; at < MACHINE_SIZE; at += PAGE_SIZE)
		memcpy(made.machine.memory + at, one.text + PAGE_SIZE, PAGE_SIZE);
	CHECK_EQUAL(look(&made, false, &found), KIOKU_OK);
	CHECK_EQUAL(wrong(&found, &one), 0);
	for (size_t at = TEXT_AT; at < MACHINE_SIZE; at += PAGE_SIZE) {
		memset(made.machine.memory + at, 'A', PAGE_SIZE);
		memcpy(made.machine.memory + at, "\nCONFIG_A=y\nCONFIG_B=y\nCONFIG_C=y\nCONFIG_",
		       41);
	}
	CHECK_EQUAL(look(&made, false, &found), KIOKU_OK);
	for (size_t at = TEXT_AT; at + 64 < MACHINE_SIZE; at += 64)
		memcpy(made.machine.memory + at,
		       "# Automatically generated file; DO NOT EDIT.\nCONFIG_A=y\nCONFIG_\n", 64);
	enum kioku_status status = look(&made, false, &found);
	CHECK(status == KIOKU_OK || status == KIOKU_ERROR_NOT_FOUND);
	made_close(&made);
}

TAP_MAIN(TEST(lines), TEST(built_in), TEST(built_in_damaged), TEST(pages_in_a_row),
	 TEST(pages_out_of_order), TEST(page_lost), TEST(in_an_archive), TEST(two_kernels),
	 TEST(two_kernels_mixed), TEST(contradicted), TEST(nothing), TEST(other_text),
	 TEST(hostile))
