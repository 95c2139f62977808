/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* kallsyms in every layout, made by tests/images/kallsyms.py: whole, damaged, and as a block. */
#include <limits.h>

#include "base/error.h"
#include "symbol/symbols.h"
#include "tap.h"

#define VIRTUAL 0xffffffff82000000ull
#define PAGE    4096

static const char *const layouts[] = {
	"3.10",         "4.6", "4.6-up", "4.20",         "6.1", "6.1-debian", "6.2",
	"6.3-absolute", "6.4", "6.15",   "6.4-absolute", "7.0", "7.0-text",   "6.1-text",
};

struct sample {
	struct window window; /* first: fetch gets a pointer to it */
	uint8_t *data;
	char *list; /* what the symbols are, as /proc/kallsyms prints them */
	uint64_t lost_start, lost_end;
	struct diagnostics diagnostics;
	unsigned gaps;
};

static void hear(void *user, enum kioku_severity severity, const char *message)
{
	struct sample *sample = user;

	(void)message;
	sample->gaps += severity == KIOKU_GAP;
}

static void *read_file(const char *path, size_t *size)
{
	FILE *file = fopen(path, "rb");
	uint8_t *data = malloc(1 << 24);

	CHECK(file && data);
	*size = fread(data, 1, (1 << 24) - 1, file);
	data[*size] = 0;
	fclose(file);
	return realloc(data, *size + 1);
}

static bool fetch(struct window *window, uint64_t offset, uint64_t size)
{
	const struct sample *sample = (const struct sample *)window;

	CHECK(offset + size <= window->size);
	return offset >= sample->lost_end || offset + size <= sample->lost_start;
}

static void make(const char *layout, struct sample *out)
{
	const char *tests = getenv("KIOKU_TESTS");
	char folder[] = "/tmp/kioku-symbols-XXXXXX";
	char command[PATH_MAX + 256], window[64], list[64];
	size_t size;

	if (!tests)
		SKIP("$KIOKU_TESTS does not say where the tests are");
	CHECK(mkdtemp(folder));
	snprintf(window, sizeof(window), "%s/window", folder);
	snprintf(list, sizeof(list), "%s/list", folder);
	snprintf(command, sizeof(command), "python3 '%s/images/kallsyms.py' %s %s %s", tests,
		 layout, window, list);
	CHECK_EQUAL(system(command), 0);
	*out = (struct sample){ .diagnostics = { hear, out } };
	out->list = read_file(list, &size);
	out->data = read_file(window, &size);
	out->window = (struct window){ out->data, size, VIRTUAL, fetch };
	unlink(window);
	unlink(list);
	rmdir(folder);
}

static void release(struct sample *sample)
{
	free(sample->data);
	free(sample->list);
}
#define AUTO_SAMPLE CLEANUP(release)

static struct kioku_symbols *open_sample(struct sample *sample, struct kallsyms_layout *layout)
{
	struct kioku_symbols *symbols = NULL;
	struct kioku_error error;

	if (!kallsyms_locate(&sample->window, NULL, layout, &sample->diagnostics))
		return NULL;
	if (symbols_from_kallsyms(&sample->window, layout, &symbols, &sample->diagnostics,
				  &error) != KIOKU_OK)
		return NULL;
	return symbols;
}

/* The symbols as a list, which is to be freed. */
static char *list_of(const struct kioku_symbols *symbols)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	CHECK(out);
	for (size_t i = 0; i < kioku_symbols_count(symbols); i++) {
		struct kioku_symbol symbol = kioku_symbols_get(symbols, i);
		fprintf(out, "%016llx %c %s\n", (unsigned long long)symbol.address, symbol.type,
			symbol.name);
	}
	fclose(out);
	return text;
}

/* How many rows are not in the list; both are in the same order. */
static unsigned count_wrong(const struct kioku_symbols *symbols, const char *list)
{
	AUTO_FREE char *rows = list_of(symbols);
	unsigned wrong = 0;

	for (char *row = rows; *row;) {
		char *end = strchr(row, '\n') + 1;
		char after = *end;
		*end = '\0';
		const char *found = strstr(list, row);
		if (found)
			list = found;
		else if (++wrong <= 3)
			printf("# not in the list: %s", row);
		*end = after;
		row = end;
	}
	return wrong;
}

/* Without the window's own address, place relative addresses are relative to the window. */
static void check_without_address(struct sample *sample)
{
	struct kallsyms_layout layout;
	struct kioku_symbol text;

	sample->window.virtual_start = 0;
	AUTO_SYMBOLS struct kioku_symbols *symbols = open_sample(sample, &layout);
	CHECK(symbols);
	uint64_t start = layout.encoding == KALLSYMS_PLACE_RELATIVE ? VIRTUAL : 0;
	CHECK(start || count_wrong(symbols, sample->list) == 0);
	CHECK_EQUAL(kioku_symbols_count(symbols), layout.count);
	CHECK_EQUAL(kioku_symbols_find(symbols, "_text", &text, NULL), KIOKU_OK);
	CHECK_EQUAL(text.address, 0xffffffff81000000ull - start);
}

static void decodes_every_layout(void)
{
	for (size_t i = 0; i < sizeof(layouts) / sizeof(*layouts); i++) {
		AUTO_SAMPLE struct sample sample;
		struct kallsyms_layout layout;
		make(layouts[i], &sample);
		AUTO_SYMBOLS struct kioku_symbols *symbols = open_sample(&sample, &layout);
		printf("# %s\n", layouts[i]);
		CHECK(symbols);
		AUTO_FREE char *list = list_of(symbols);
		CHECK(strcmp(list, sample.list) == 0);
		CHECK_EQUAL(sample.gaps, 0);
		check_without_address(&sample);
	}
}

static void takes_a_hint(void)
{
	AUTO_SAMPLE struct sample sample;
	struct kallsyms_layout layout, again;
	struct kallsyms_hint hint;
	char text[128];

	make("6.4", &sample);
	CHECK(kallsyms_locate(&sample.window, NULL, &layout, &sample.diagnostics));
	snprintf(text, sizeof(text), "OSRELEASE=6\nSYMBOL(kallsyms_token_table)=%llx\n",
		 (unsigned long long)(VIRTUAL + layout.token_table));
	CHECK(kallsyms_hint_from_vmcoreinfo((struct bytes){ (uint8_t *)text, strlen(text) },
					    &hint));
	/* With the hint, what lies behind the tables need not be there. */
	sample.lost_start = sample.window.size - 4096;
	sample.lost_end = sample.window.size;
	CHECK(kallsyms_locate(&sample.window, &hint, &again, &sample.diagnostics));
	CHECK(memcmp(&layout, &again, sizeof(layout)) == 0);
	hint.token_table += 0x1000000;
	CHECK(kallsyms_locate(&sample.window, &hint, &again, &sample.diagnostics));
	CHECK(!kallsyms_hint_from_vmcoreinfo((struct bytes){ (uint8_t *)text, 12 }, &hint));
}

static void finds_by_name_and_address(void)
{
	AUTO_SAMPLE struct sample sample;
	struct kallsyms_layout layout;
	struct kioku_symbol symbol;
	struct kioku_error error;
	size_t visited = 0;

	make("4.20", &sample);
	AUTO_SYMBOLS struct kioku_symbols *symbols = open_sample(&sample, &layout);
	CHECK(symbols);
	CHECK_EQUAL(kioku_symbols_find(symbols, "linux_banner", &symbol, &error), KIOKU_OK);
	CHECK_EQUAL(symbol.address, VIRTUAL + 0x100);
	CHECK_EQUAL(symbol.type, 'D');
	CHECK_EQUAL(kioku_symbols_find(symbols, "linux_bann", &symbol, &error),
		    KIOKU_ERROR_NOT_FOUND);
	CHECK_SAYS(error.message, "linux_bann");
	for (size_t i = 0; i < kioku_symbols_count(symbols); i++) {
		struct symbol_cursor cursor = { 0 };
		struct kioku_symbol own = kioku_symbols_get(symbols, i);
		const char *last = NULL;
		bool found = false;
		uint64_t previous = 0;
		while (symbols_next_named(symbols, own.name, &cursor, &symbol)) {
			CHECK(!last || symbol.address >= previous);
			last = symbol.name;
			previous = symbol.address;
			found |= symbol.name == own.name;
			visited++;
		}
		CHECK(found);
		CHECK(symbols_nearest(symbols, own.address + 3, &symbol));
		CHECK(symbol.address >= own.address && symbol.address <= own.address + 3);
	}
	CHECK(visited > kioku_symbols_count(symbols)); /* some names occur more than once */
}

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* Zeroed stretches in the names or the addresses cost what was there and make up nothing. */
static void survives_lost_bytes(void)
{
	uint64_t state = 1;

	for (size_t i = 0; i < sizeof(layouts) / sizeof(*layouts); i++) {
		AUTO_SAMPLE struct sample sample;
		struct kallsyms_layout layout;
		make(layouts[i], &sample);
		CHECK(kallsyms_locate(&sample.window, NULL, &layout, &sample.diagnostics));
		unsigned size = kallsyms_address_size(layout.encoding);
		memset(sample.data + layout.names + 9000, 0, 400);
		memset(sample.data + layout.names + 20000, 0xff, 400);
		memset(sample.data + layout.addresses + 1000ull * size, 0, 30 * size);
		for (unsigned j = 0; j < 20; j++) {
			uint64_t index = 1500 + next_random(&state) % 1500;
			sample.data[layout.addresses + index * size + size - 1] ^= 0x40;
		}
		/* One marker: the groups on both sides prove each other. */
		sample.data[layout.markers + 10 * layout.marker_size + 1] ^= 0x55;
		AUTO_SYMBOLS struct kioku_symbols *symbols = open_sample(&sample, &layout);
		printf("# %s\n", layouts[i]);
		CHECK(symbols);
		CHECK_EQUAL(count_wrong(symbols, sample.list), 0);
		CHECK(kioku_symbols_count(symbols) >= layout.count - 5 * 256 - 60);
		CHECK(kioku_symbols_count(symbols) < layout.count - 256);
		CHECK_EQUAL(sample.gaps, 1);
	}
}

/*
 * Bits anywhere but in the tokens: one byte of those is in thousands of names, and nothing in the
 * tables would contradict it.
 */
static void survives_random_bits(void)
{
	for (size_t i = 0; i < sizeof(layouts) / sizeof(*layouts); i++) {
		AUTO_SAMPLE struct sample sample;
		struct kallsyms_layout whole, layout;
		unsigned located = 0;
		make(layouts[i], &sample);
		CHECK(kallsyms_locate(&sample.window, NULL, &whole, &sample.diagnostics));
		AUTO_FREE uint8_t *copy = malloc(sample.window.size);
		memcpy(copy, sample.data, sample.window.size);
		for (uint64_t round = 1; round <= 8; round++) {
			uint64_t state = round * 77777;
			memcpy(sample.data, copy, sample.window.size);
			for (unsigned j = 0; j < 10; j++) {
				uint64_t at = next_random(&state) % sample.window.size;
				if (at < whole.token_table || at >= whole.token_index + 512)
					sample.data[at] ^= (uint8_t)(1u << next_random(&state) % 8);
			}
			AUTO_SYMBOLS struct kioku_symbols *symbols = open_sample(&sample, &layout);
			if (!symbols)
				continue;
			located++;
			/* Nor can a token that became another one be told, or an address's low bit. */
			CHECK(count_wrong(symbols, sample.list) <= 10);
		}
		printf("# %s: %u of 8\n", layouts[i], located);
		CHECK(located == 8);
	}
}

static void survives_cuts_and_lost_pages(void)
{
	AUTO_SAMPLE struct sample sample;
	struct kallsyms_layout layout;

	make("6.1-debian", &sample);
	for (uint64_t page = 0; page * PAGE < sample.window.size; page++) {
		AUTO_FREE uint8_t *kept = malloc(PAGE);
		uint64_t size = sample.window.size - page * PAGE;
		size = size < PAGE ? size : PAGE;
		memcpy(kept, sample.data + page * PAGE, size);
		memset(sample.data + page * PAGE, 0, size);
		sample.lost_start = page * PAGE;
		sample.lost_end = page * PAGE + size;
		AUTO_SYMBOLS struct kioku_symbols *symbols = open_sample(&sample, &layout);
		if (symbols)
			CHECK_EQUAL(count_wrong(symbols, sample.list), 0);
		memcpy(sample.data + page * PAGE, kept, size);
	}
	sample.lost_start = sample.lost_end = 0;
	for (uint64_t size = sample.window.size; size > 0; size = size * 15 / 16) {
		AUTO_FREE uint8_t *cut = malloc(size); /* so that a sanitizer sees its end */
		struct window window = { cut, size, VIRTUAL, NULL };
		memcpy(cut, sample.data, size);
		struct kioku_symbols *symbols = NULL;
		if (kallsyms_locate(&window, NULL, &layout, &sample.diagnostics) &&
		    symbols_from_kallsyms(&window, &layout, &symbols, &sample.diagnostics, NULL) ==
			    KIOKU_OK)
			CHECK_EQUAL(count_wrong(symbols, sample.list), 0);
		symbols_close(symbols);
	}
}

static void serves_from_a_block(void)
{
	AUTO_SAMPLE struct sample sample;
	struct kallsyms_layout layout;
	struct kioku_symbols *moved = NULL;
	struct kioku_symbol symbol;

	make("6.4", &sample);
	AUTO_SYMBOLS struct kioku_symbols *symbols = open_sample(&sample, &layout);
	CHECK(symbols);
	struct bytes block = symbols_blob(symbols);
	CHECK_EQUAL(symbols_base(symbols), 0xffffffff81000000ull);
	CHECK_EQUAL(symbols_from_blob(block, 0xffffffff9a200000ull, &moved, NULL), KIOKU_OK);
	CHECK_EQUAL(kioku_symbols_find(moved, "linux_banner", &symbol, NULL), KIOKU_OK);
	CHECK_EQUAL(symbol.address, VIRTUAL + 0x100 + 0x19200000);
	CHECK_EQUAL(kioku_symbols_get(moved, 3).address, 0x3000);
	CHECK(symbols_is_absolute(moved, 3) && !symbols_is_absolute(moved, 100));
	symbols_close(moved);

	/* Hostile ones: every access is bounded, whatever the block says. */
	uint64_t state = 5;
	for (unsigned round = 0; round < 1000; round++) {
		size_t size = round % 2 ? block.size : next_random(&state) % block.size;
		AUTO_FREE uint8_t *copy = malloc(size + 1);
		memcpy(copy, block.data, size);
		for (unsigned i = 0; i < 4 && size; i++)
			copy[next_random(&state) % (i < 2 && size > 72 ? 72 : size)] =
				(uint8_t)next_random(&state);
		moved = NULL;
		if (symbols_from_blob((struct bytes){ copy, size }, VIRTUAL, &moved, NULL) !=
		    KIOKU_OK)
			continue;
		size_t count = kioku_symbols_count(moved);
		for (size_t i = 0; i < count; i += 1 + count / 50)
			CHECK(strlen(kioku_symbols_get(moved, i).name) < size);
		(void)!kioku_symbols_find(moved, "linux_banner", &symbol, NULL);
		symbols_nearest(moved, VIRTUAL, &symbol);
		symbols_close(moved);
	}
}

TAP_MAIN(TEST(decodes_every_layout), TEST(takes_a_hint), TEST(finds_by_name_and_address),
	 TEST(survives_lost_bytes), TEST(survives_random_bits), TEST(survives_cuts_and_lost_pages),
	 TEST(serves_from_a_block))
