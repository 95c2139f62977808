// SPDX-License-Identifier: LGPL-2.1-or-later
#include "check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define PAGE 4096ULL

/* Counts what is wrong. */
static void check(struct check_result *result, bool good, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void check(struct check_result *result, bool good, const char *format, ...)
{
	va_list arguments;

	if (good)
		return;
	va_start(arguments, format);
	if (result->torn++ == 0)
		vsnprintf(result->first, sizeof(result->first), format, arguments);
	va_end(arguments);
}

static bool read_word(const struct check_image *image, uint64_t address, uint64_t *word)
{
	return image->read(image->context, address, word, sizeof(*word));
}

static bool check_chain(const struct check_image *image, const struct counters *counters,
			uint64_t thread, struct check_result *result)
{
	uint64_t first = 0, before = 0;

	for (uint64_t page = 0; page < counters->pages; page++) {
		uint64_t word;

		if (!read_word(image, counters->chains + (thread * counters->pages + page) * PAGE,
			       &word))
			return false;
		if (page == 0)
			first = before = word;
		check(result, word <= before && first - word <= 1,
		      "chain %lu, page %lu: %lu after %lu, and %lu at first", (unsigned long)thread,
		      (unsigned long)page, (unsigned long)word, (unsigned long)before,
		      (unsigned long)first);
		before = word;
	}
	return true;
}

static bool check_cells(const struct check_image *image, const struct counters *counters,
			struct check_result *result)
{
	uint64_t up = UINT64_MAX, down = UINT64_MAX;

	for (uint64_t thread = 0; thread < counters->threads; thread++) {
		uint64_t one, other;

		if (!read_word(image, counters->up + thread * PAGE, &one) ||
		    !read_word(image, counters->down + (counters->threads - 1 - thread) * PAGE,
			       &other))
			return false;
		check(result, one <= up && other <= down, "cell %lu is ahead of the one before",
		      (unsigned long)thread);
		up = one;
		down = other;
	}
	return true;
}

/* The write after the last one counted may be there in part. */
static void check_page(const uint64_t *words, uint64_t page, uint64_t last, uint64_t next,
		       struct check_result *result)
{
	uint64_t first = words[0], end = words[PAGE_WORDS - 1];

	check(result,
	      (first == last || first == next) && (end == last || end == next) &&
		      (end == last || first == end),
	      "rolled page %lu: %lu and %lu, not %lu", (unsigned long)page, (unsigned long)first,
	      (unsigned long)end, (unsigned long)last);
	for (uint64_t word = 1; word < PAGE_WORDS - 1; word++)
		check(result, words[word] == counters_fixed(page, word),
		      "rolled page %lu: word %lu was never written", (unsigned long)page,
		      (unsigned long)word);
}

static bool check_rolls(const struct check_image *image, const struct counters *counters,
			struct check_rolls *rolls, struct check_result *result)
{
	uint64_t words[PAGE_WORDS], next = counters->done + 1;

	if (rolls->last == NULL)
		rolls->last = calloc(counters->rolled_pages, sizeof(*rolls->last));
	if (rolls->last == NULL)
		return false;
	check(result, counters->done >= rolls->done, "fewer writes than before");
	while (rolls->done < counters->done) {
		rolls->done++;
		rolls->last[counters_page(counters, rolls->done)] = rolls->done;
	}
	for (uint64_t page = 0; page < counters->rolled_pages; page++) {
		bool is_next = counters_page(counters, next) == page;

		if (!image->read(image->context, counters->rolls + page * PAGE, words,
				 sizeof(words)))
			return false;
		check_page(words, page, rolls->last[page], is_next ? next : rolls->last[page],
			   result);
	}
	return true;
}

bool check_counters(const struct check_image *image, uint64_t header, struct check_rolls *rolls,
		    struct check_result *result)
{
	struct counters counters;

	if (!image->read(image->context, header, &counters, sizeof(counters)) ||
	    counters.magic != COUNTERS_MAGIC || counters.rolled_pages == 0 ||
	    counters.rolled_pages > 1 << 20)
		return false;
	for (uint64_t thread = 0; thread < counters.threads; thread++) {
		if (!check_chain(image, &counters, thread, result))
			return false;
	}
	return check_cells(image, &counters, result) &&
	       check_rolls(image, &counters, rolls, result);
}
