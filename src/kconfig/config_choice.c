/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kconfig/config_choice.h"

#include <stdlib.h>

#include "base/scan.h"
#include "kernel/banner.h"

#define BANNER_START "Linux version "
#define FILE_START   "config-"

static bool has_text(struct bytes text, struct bytes part)
{
	return memmem(text.data, text.size, part.data, part.size);
}

/* What was compared of a text with the kernel. */
struct comparison {
	bool is_same, is_other;
};

static void compare(struct comparison *comparison, bool is_same)
{
	comparison->is_same |= is_same;
	comparison->is_other |= !is_same;
}

/* Names of files, and salts, are releases by custom only: others tell nothing. */
static bool is_release(struct bytes text)
{
	return text.size > 0 && text.data[0] >= '0' && text.data[0] <= '9';
}

static struct bytes release_of_path(const char *path)
{
	const char *name = path ? strrchr(path, '/') : NULL;

	name = name ? name + 1 : path;
	if (!name || strncmp(name, FILE_START, strlen(FILE_START)) != 0)
		return (struct bytes){ 0 };
	return bytes_of_text(name + strlen(FILE_START));
}

enum config_match config_match(const struct kioku_kernel *kernel, const struct config_text *text)
{
	struct comparison found = { 0 };

	if (!kernel->banner || strncmp(kernel->banner, BANNER_START, strlen(BANNER_START)) != 0)
		return CONFIG_SILENT;
	struct bytes banner = bytes_of_text(kernel->banner + strlen(BANNER_START));
	struct bytes release = { banner.data, strcspn((const char *)banner.data, " ") };
	struct bytes named = release_of_path(text->path);

	if (text->version.size)
		compare(&found, banner_has_version(banner, text->version));
	if (is_release(named))
		compare(&found, bytes_equal(named, release));
	if (is_release(text->salt))
		compare(&found, bytes_equal(text->salt, release));
	/* A tail of the release, which may have more behind it, and tells nothing alone. */
	found.is_other |= text->local_version.size && !has_text(release, text->local_version);
	/* The compiler is in the banner as it is in the configuration since v5.8, which also names the linker. */
	if (text->compiler.size &&
	    (has_text(banner, SCAN_LITERAL(", GNU ld")) ||
	     has_text(banner, SCAN_LITERAL(", LLD")) || has_text(banner, SCAN_LITERAL(" LLD "))))
		found.is_other |= !has_text(banner, text->compiler);
	return found.is_other ? CONFIG_DIFFERS : found.is_same ? CONFIG_MATCHES : CONFIG_SILENT;
}

size_t config_contradictions(const struct config_text *text, const struct config_fact *facts,
			     size_t fact_count)
{
	size_t count = 0;

	for (size_t i = 0; i < fact_count; i++) {
		const struct config_line *line =
			config_text_find(text, bytes_of_text(facts[i].option));
		/* What is not there was not asked for, if nothing is lost. */
		if (line ? !bytes_equal(line->value, SCAN_LITERAL("y"))
			 : config_text_is_whole(text))
			count++;
	}
	return count;
}

struct ranked {
	struct config_text *text;
	enum config_match match;
	size_t contradictions;
};

static int compare_numbers(size_t one, size_t two)
{
	return (one > two) - (one < two);
}

static int compare_ranked(const void *first, const void *second)
{
	const struct ranked *one = first, *two = second;
	int order = (two->text->origin == CONFIG_BUILT_IN) - (one->text->origin == CONFIG_BUILT_IN);

	order = order ? order : compare_numbers(two->match, one->match);
	order = order ? order : compare_numbers(one->contradictions, two->contradictions);
	order = order ? order : config_text_is_whole(two->text) - config_text_is_whole(one->text);
	order = order ? order : compare_numbers(one->text->origin, two->text->origin);
	order = order ? order : two->text->is_started - one->text->is_started;
	return order ? order : compare_numbers(two->text->distinct, one->text->distinct);
}

void config_rank(const struct kioku_kernel *kernel, struct config_texts *texts,
		 const struct config_fact *facts, size_t fact_count)
{
	struct ranked ranked[CONFIG_TEXT_LIMIT];

	for (size_t i = 0; i < texts->count; i++) {
		struct config_text *text = texts->list[i];
		ranked[i] = (struct ranked){ text, config_match(kernel, text),
					     config_contradictions(text, facts, fact_count) };
	}
	qsort(ranked, texts->count, sizeof(*ranked), compare_ranked);
	for (size_t i = 0; i < texts->count; i++)
		texts->list[i] = ranked[i].text;
}
