/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "search/string_finder.h"

#include "base/cleanup.h"
#include "tap.h"

static struct string_finder finder_of(unsigned encodings, size_t minimum)
{
	return (struct string_finder){ .minimum = minimum, .encodings = encodings };
}

static struct string_window window_of(const void *data, size_t size)
{
	return (struct string_window){
		.data = data, .address = 0x1000, .size = size, .limit = size
	};
}

static void expect(struct string_finder *finder, const struct string_window *window,
		   uint64_t address, uint64_t size, enum string_encoding encoding)
{
	struct found_string found;

	CHECK(string_finder_next(finder, window, &found));
	CHECK_EQUAL(found.address, address);
	CHECK_EQUAL(found.size, size);
	CHECK_EQUAL(found.encoding, encoding);
}

static void expect_end(struct string_finder *finder, const struct string_window *window)
{
	struct found_string found;

	CHECK(!string_finder_next(finder, window, &found));
	CHECK(!string_finder_next(finder, window, &found));
}

static void finds_ascii(void)
{
	static const char data[] = "abc\0abcd\0\x80\tefghi~\x7f"
				   "ABCD\nlast";
	struct string_finder finder = finder_of(STRING_ASCII, 4);
	struct string_window window = window_of(data, sizeof(data) - 1);

	expect(&finder, &window, 0x1004, 4, STRING_ASCII);
	expect(&finder, &window, 0x100a, 7, STRING_ASCII);
	expect(&finder, &window, 0x1012, 4, STRING_ASCII);
	expect(&finder, &window, 0x1017, 4, STRING_ASCII);
	expect_end(&finder, &window);
}

/* At both alignments; a character that is not ASCII ends them. */
static void finds_utf16(void)
{
	static const char data[] = "\1a\0b\0c\0d\0\0\0\0w\0x\0y\0z\0\x20\x04q\0r\0s\0";
	struct string_finder finder = finder_of(STRING_UTF16, 4);
	struct string_window window = window_of(data, sizeof(data) - 1);
	struct found_string found = { .size = 8, .encoding = STRING_UTF16 };
	char text[4];

	expect(&finder, &window, 0x1001, 8, STRING_UTF16);
	expect(&finder, &window, 0x100c, 8, STRING_UTF16);
	expect_end(&finder, &window);
	CHECK_EQUAL(string_text(&found, (const uint8_t *)data + 1, text), 4);
	CHECK(memcmp(text, "abcd", 4) == 0);
}

static void ascends(void)
{
	static const char data[] = "a\0b\0c\0d\0\0first\0e\0f\0g\0h\0\0\0second";
	struct string_finder finder = finder_of(STRING_ASCII | STRING_UTF16, 4);
	struct string_window window = window_of(data, sizeof(data) - 1);

	expect(&finder, &window, 0x1000, 8, STRING_UTF16);
	expect(&finder, &window, 0x1009, 5, STRING_ASCII);
	/* "t\0e\0f\0g\0h\0" */
	expect(&finder, &window, 0x100d, 10, STRING_UTF16);
	expect(&finder, &window, 0x1019, 6, STRING_ASCII);
	expect_end(&finder, &window);
}

/* Every byte is the border of two windows once; what is found must not depend on that. */
static void goes_on_behind_windows(void)
{
	static const char data[] = "\0\0abcdef\0ghijkl\0\0m\0n\0o\0p\0q\0\0xyzw";
	size_t size = sizeof(data) - 1;

	for (size_t border = 1; border < size; border++) {
		struct string_finder finder = finder_of(STRING_ASCII | STRING_UTF16, 4);
		struct string_window first = window_of(data, size);
		struct string_window second = { (const uint8_t *)data + border, 0x1000 + border,
						size - border, size - border };
		struct found_string found;
		uint64_t sum = 0;
		size_t count = 0;
		first.limit = border;
		while (string_finder_next(&finder, &first, &found)) {
			sum += found.address * found.size;
			count++;
		}
		while (string_finder_next(&finder, &second, &found)) {
			sum += found.address * found.size;
			count++;
		}
		CHECK_EQUAL(count, 4);
		CHECK_EQUAL(sum, 0x1002 * 6 + 0x1009 * 6 + 0x1011 * 10 + 0x101c * 4);
	}
}

/* All that a plain search finds, in bytes of which many are characters. */
static void misses_nothing(void)
{
	enum { SIZE = 4096 };
	uint8_t data[SIZE];
	uint32_t state = 1;

	for (size_t minimum = 1; minimum < 9; minimum++) {
		struct string_finder finder = finder_of(STRING_ASCII, minimum);
		struct string_window window = window_of(data, SIZE);
		for (size_t i = 0; i < SIZE; i++) {
			state = state * 1664525 + 1013904223;
			data[i] = state >> 29 ? 'a' + (state >> 24) % 26 : 0;
		}
		for (size_t start = 0, end; start < SIZE; start = end + 1) {
			for (end = start; end < SIZE && data[end]; end++)
				;
			if (end - start >= minimum)
				expect(&finder, &window, 0x1000 + start, end - start, STRING_ASCII);
		}
		expect_end(&finder, &window);
	}
}

static void cuts_what_is_long(void)
{
	size_t size = 2 * STRING_LIMIT + 100;
	AUTO_FREE char *data = malloc(size);
	struct string_finder finder = finder_of(STRING_ASCII, 4);
	struct string_window window = window_of(data, size);

	memset(data, 'x', size);
	expect(&finder, &window, 0x1000, STRING_LIMIT, STRING_ASCII);
	expect(&finder, &window, 0x1000 + STRING_LIMIT, STRING_LIMIT, STRING_ASCII);
	expect(&finder, &window, 0x1000 + 2 * STRING_LIMIT, 100, STRING_ASCII);
	expect_end(&finder, &window);
}

TAP_MAIN(TEST(finds_ascii), TEST(finds_utf16), TEST(ascends), TEST(goes_on_behind_windows),
	 TEST(misses_nothing), TEST(cuts_what_is_long))
