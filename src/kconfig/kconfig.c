/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kconfig/kconfig.h"

#include <inttypes.h>

#include "base/scan.h"
#include "kconfig/config_files.h"
#include "kconfig/config_pages.h"
#include "kconfig/ikconfig.h"

#define SAID_LIMIT 8 /* differences that are named one by one */

struct finding {
	struct kioku_kernel *kernel;
	const struct config_request *request;
	struct config_texts texts;
	struct config_fact facts[CONFIG_FACT_LIMIT];
	size_t fact_count;
};

/* --- what there is */

static enum kioku_status take_built_in(struct finding *finding, bool *found)
{
	struct kioku_kernel *kernel = finding->kernel;
	uint64_t physical;

	*found = false;
	if (kernel->proof == PROOF_NONE || ikconfig_locate(kernel, &physical) != KIOKU_OK)
		return KIOKU_OK;
	enum kioku_status status =
		ikconfig_read(kernel->source, physical, CONFIG_BUILT_IN, &finding->texts);
	*found = status == KIOKU_OK;
	if (status == KIOKU_ERROR_NO_MEMORY)
		return status;
	if (!*found)
		diagnose(&kernel->diagnostics, KIOKU_GAP,
			 "kconfig: the kernel's own copy of its configuration, at 0x%" PRIx64
			 ", is damaged or not all there",
			 physical);
	return KIOKU_OK;
}

static enum kioku_status take_packed(struct finding *finding, const struct config_scan *scan)
{
	for (size_t i = 0; i < scan->packed_count; i++) {
		enum kioku_status status = ikconfig_read(finding->kernel->source, scan->packed[i],
							 CONFIG_PACKED, &finding->texts);
		if (status == KIOKU_ERROR_NO_MEMORY)
			return status;
	}
	return KIOKU_OK;
}

static enum kioku_status look_everywhere(struct finding *finding)
{
	CLEANUP(config_scan_release) struct config_scan scan = { 0 };
	struct kioku_kernel *kernel = finding->kernel;

	TRY(config_scan_run(kernel->source, &finding->request->progress, &scan));
	if (scan.lost)
		diagnose(&kernel->diagnostics, KIOKU_GAP,
			 "kconfig: %" PRIu64 " bytes of memory could not be read", scan.lost);
	TRY(take_packed(finding, &scan));
	TRY(config_files_read(kernel, &scan, &finding->texts));
	TRY(config_pages_join(kernel->source, &scan, &finding->texts));
	if (scan.is_full || finding->texts.is_full)
		diagnose(&kernel->diagnostics, KIOKU_GAP,
			 "kconfig: there is more that looks like configurations than is looked at");
	return KIOKU_OK;
}

/* --- what it is called */

static const char *text_name(const struct config_text *text)
{
	switch (text->origin) {
	case CONFIG_BUILT_IN: return "the kernel's own copy";
	case CONFIG_PACKED: return "a packed copy";
	case CONFIG_FILE: return text->path ? text->path : "a file without a name";
	case CONFIG_PAGES: return "pages without a file";
	}
	return "";
}

/* The version that a text says to be of. */
#define VERSION_FORMAT(text)                                                               \
	(int)((text)->version.size ? (text)->version.size : strlen("an unknown version")), \
		(text)->version.size ? (const char *)(text)->version.data : "an unknown version"

static void say_missing(const struct finding *finding, const struct config_text *text)
{
	if (config_text_is_whole(text))
		return;
	diagnose(&finding->kernel->diagnostics, KIOKU_GAP,
		 "kconfig: %s is not whole: %zu options were found; %" PRIu64
		 " pages are not in memory, %" PRIu64 " lines are there in part only, %" PRIu64
		 " are none%s",
		 text_name(text), text->distinct, text->lost_pages, text->lost_lines, text->foreign,
		 text->is_started ? "" : ", and its start is missing");
}

/* Lines that are left out: they may be of another kernel's. */
static void say_doubtful(const struct finding *finding, const struct config_text *text)
{
	size_t count = 0;

	for (size_t i = 0; i < text->count; i++)
		count += text->lines[i].is_doubtful;
	if (count)
		diagnose(&finding->kernel->diagnostics, KIOKU_GAP,
			 "kconfig: %zu options are in pages that may be of another configuration; "
			 "--all shows them",
			 count);
}

static void say_contradictions(const struct finding *finding, const struct config_text *text)
{
	for (size_t i = 0; i < finding->fact_count; i++) {
		const struct config_fact *fact = &finding->facts[i];
		const struct config_line *line =
			config_text_find(text, bytes_of_text(fact->option));
		if (line ? bytes_equal(line->value, SCAN_LITERAL("y"))
			 : !config_text_is_whole(text))
			continue;
		diagnose(&finding->kernel->diagnostics, KIOKU_WARNING,
			 "kconfig: %s does not have %s, but the kernel has it: %s", text_name(text),
			 fact->option, fact->evidence);
	}
}

/* Another text that says to be this kernel's, too, is compared with the one that was taken. */
static void say_differences(const struct finding *finding, const struct config_text *best,
			    const struct config_text *other)
{
	size_t differing = 0;

	for (size_t i = 0; i < other->distinct; i++) {
		const struct config_line *line = &other->lines[other->by_name[i]];
		const struct config_line *taken = config_text_find(best, line->name);
		if (!taken || bytes_equal(taken->value, line->value))
			continue;
		if (differing++ < SAID_LIMIT)
			diagnose(&finding->kernel->diagnostics, KIOKU_WARNING,
				 "kconfig: %.*s is %.*s in %s, but %.*s in %s",
				 (int)line->name.size, line->name.data, (int)taken->value.size,
				 taken->value.data, text_name(best), (int)line->value.size,
				 line->value.data, text_name(other));
	}
	if (differing > SAID_LIMIT)
		diagnose(&finding->kernel->diagnostics, KIOKU_WARNING,
			 "kconfig: %s and %s differ in %zu options", text_name(best),
			 text_name(other), differing);
}

/* --- rows */

static const char *fact_of(const struct finding *finding, struct bytes option)
{
	for (size_t i = 0; i < finding->fact_count; i++)
		if (bytes_equal(bytes_of_text(finding->facts[i].option), option))
			return finding->facts[i].evidence;
	return NULL;
}

static enum config_certainty certainty_of(const struct config_text *text, enum config_match match,
					  const struct config_line *line)
{
	if (text->origin == CONFIG_BUILT_IN)
		return CONFIG_CERTAIN;
	return match == CONFIG_MATCHES && !line->is_joined && !line->is_doubtful ? CONFIG_LIKELY
										 : CONFIG_POSSIBLE;
}

static enum kioku_status give_text(const struct finding *finding, const struct config_text *text,
				   size_t number)
{
	enum config_match match = config_match(finding->kernel, text);

	for (size_t i = 0; i < text->count; i++) {
		const struct config_line *line = &text->lines[i];
		struct config_row row = { text, number, *line, certainty_of(text, match, line),
					  NULL };
		const char *fact = fact_of(finding, line->name);
		/* Of an option that is there twice, the last line counts. */
		if (config_text_find(text, line->name) != line)
			continue;
		if (line->is_doubtful && !finding->request->all)
			continue;
		if (fact && bytes_equal(line->value, SCAN_LITERAL("y"))) {
			row.confirmed_by = fact;
			row.certainty = CONFIG_CERTAIN;
		} else if (fact && number == 1 && !finding->request->all) {
			continue; /* what is known for certain comes at the end */
		}
		TRY(finding->request->row(finding->request->user, &row));
	}
	return KIOKU_OK;
}

/* Options of facts that a text does not have, or has wrong. */
static enum kioku_status give_facts(const struct finding *finding, const struct config_text *text)
{
	for (size_t i = 0; i < finding->fact_count; i++) {
		struct bytes option = bytes_of_text(finding->facts[i].option);
		const struct config_line *line = text ? config_text_find(text, option) : NULL;
		struct config_row row = { .line = { .name = option, .value = SCAN_LITERAL("y") },
					  .certainty = CONFIG_CERTAIN,
					  .confirmed_by = finding->facts[i].evidence };
		bool is_given = line && bytes_equal(line->value, SCAN_LITERAL("y")) &&
				(!line->is_doubtful || finding->request->all);
		if (!is_given)
			TRY(finding->request->row(finding->request->user, &row));
	}
	return KIOKU_OK;
}

static enum kioku_status give_all(const struct finding *finding)
{
	for (size_t i = 0; i < finding->texts.count; i++) {
		say_missing(finding, finding->texts.list[i]);
		TRY(give_text(finding, finding->texts.list[i], i + 1));
	}
	return give_facts(finding, NULL);
}

static enum kioku_status give_best(const struct finding *finding)
{
	struct kioku_kernel *kernel = finding->kernel;
	struct config_text *const *list = finding->texts.list;
	struct config_text *best = list[0];
	enum config_match match = config_match(kernel, best);

	if (match == CONFIG_DIFFERS && best->origin != CONFIG_BUILT_IN) {
		diagnose(&kernel->diagnostics, KIOKU_GAP,
			 "kconfig: memory has %zu configurations, none of which is the running "
			 "kernel's; the best is of %.*s: %s; --all shows them",
			 finding->texts.count, VERSION_FORMAT(best), text_name(best));
		return give_facts(finding, NULL);
	}
	if (match == CONFIG_SILENT && best->origin != CONFIG_BUILT_IN)
		diagnose(&kernel->diagnostics, KIOKU_WARNING,
			 "kconfig: nothing says whose configuration this is, of %.*s: %s",
			 VERSION_FORMAT(best), text_name(best));
	say_missing(finding, best);
	say_doubtful(finding, best);
	say_contradictions(finding, best);
	for (size_t i = 1; i < finding->texts.count; i++)
		if (config_match(kernel, list[i]) == CONFIG_MATCHES)
			say_differences(finding, best, list[i]);
	if (finding->texts.count > 1)
		diagnose(&kernel->diagnostics, KIOKU_NOTE,
			 "kconfig: memory has %zu more configurations, or parts of some; --all "
			 "shows them",
			 finding->texts.count - 1);
	TRY(give_text(finding, best, 1));
	return give_facts(finding, best);
}

static enum kioku_status find(struct finding *finding, struct kioku_error *error)
{
	struct kioku_kernel *kernel = finding->kernel;
	bool is_built_in;

	finding->fact_count = config_facts_find(kernel, &finding->texts.arena, finding->facts);
	TRY(take_built_in(finding, &is_built_in));
	if (!is_built_in || finding->request->all)
		TRY(look_everywhere(finding));
	for (size_t i = 0; i < finding->texts.count; i++)
		TRY(config_text_sort(finding->texts.list[i]));
	config_rank(kernel, &finding->texts, finding->facts, finding->fact_count);
	if (finding->texts.count == 0 && finding->fact_count == 0)
		return error_set(error, KIOKU_ERROR_NOT_FOUND,
				 "memory has no configuration of a kernel");
	if (finding->texts.count == 0) {
		diagnose(&kernel->diagnostics, KIOKU_GAP,
			 "kconfig: memory has no configuration of a kernel; only what this one "
			 "shows is known");
		return give_facts(finding, NULL);
	}
	return finding->request->all ? give_all(finding) : give_best(finding);
}

enum kioku_status kconfig_find(struct kioku_kernel *kernel, const struct config_request *request,
			       struct kioku_error *error)
{
	struct finding finding = { .kernel = kernel, .request = request };

	enum kioku_status status = find(&finding, error);
	config_texts_release(&finding.texts);
	return status == KIOKU_ERROR_NO_MEMORY ? error_no_memory(error) : status;
}
