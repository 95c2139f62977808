/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>
#include <string.h>

#include "output.h"
#include "report_html.h"
#include "report_overview.h"
#include "report_page.h"

enum { LISTED_RANGES = 64 };

const char *report_fact(const struct session *session, const char *name)
{
	size_t count;
	const struct kioku_fact *facts = kioku_kernel_facts(session->kernel, &count);

	for (size_t i = 0; i < count; i++)
		if (strcmp(facts[i].name, name) == 0)
			return facts[i].value;
	return NULL;
}

static void write_headline(FILE *file, const char *name, const char *value)
{
	fprintf(file, "<div><dt>%s</dt><dd>", name);
	if (value)
		html_string(file, value);
	else
		fputs("<span class=\"absent\">unknown</span>", file);
	fputs("</dd></div>\n", file);
}

/* The fraction is in the facts. */
static void write_moment(FILE *file, const char *name, const char *time)
{
	size_t whole = time ? strcspn(time, ".") : 0;

	if (!time || time[whole] == '\0') {
		write_headline(file, name, time);
		return;
	}
	fprintf(file, "<div><dt>%s</dt><dd class=\"moment\">", name);
	html_text(file, time, whole);
	fputs("Z</dd></div>\n", file);
}

static void write_count(FILE *file, const char *name, const char *section, const uint64_t *count)
{
	fprintf(file, "<div><dt>%s</dt><dd>", name);
	if (count)
		fprintf(file, "<a href=\"#%s\"%s>%" PRIu64 "</a>", section,
			*count ? " class=\"alarm\"" : "", *count);
	else
		fputs("<span class=\"absent\">not looked for</span>", file);
	fputs("</dd></div>\n", file);
}

static void begin_facts(FILE *file, const char *title, const char *third)
{
	fprintf(file,
		"<h3>%s</h3>\n<div class=\"scroll\"><table class=\"facts\"><thead><tr><th "
		"scope=\"col\">fact</th><th scope=\"col\">value</th>",
		title);
	if (third)
		fprintf(file, "<th scope=\"col\">%s</th>", third);
	fputs("</tr></thead><tbody>\n", file);
}

static void end_facts(FILE *file)
{
	fputs("</tbody></table></div>\n", file);
}

/* evidence: NULL in a table without that column; value: NULL if it is missing. */
static void write_fact(FILE *file, const char *name, const char *value, const char *evidence)
{
	fprintf(file, "<tr><th scope=\"row\">%s</th>", name);
	if (value) {
		fputs("<td>", file);
		html_string(file, value);
	} else {
		fputs("<td class=\"absent\">missing", file);
	}
	fputs("</td>", file);
	if (evidence) {
		fputs("<td>", file);
		html_string(file, evidence);
		fputs("</td>", file);
	}
	fputs("</tr>\n", file);
}

static void write_source(FILE *file, const struct session *session)
{
	static const char *const states[] = { "present", "zero", "excluded", "unreadable" };
	size_t count;
	const struct kioku_range *ranges = kioku_source_ranges(session->source, &count);
	uint64_t sizes[4] = { 0 };
	char text[64];

	for (size_t i = 0; i < count; i++)
		sizes[ranges[i].state] += ranges[i].size;
	begin_facts(file, "Image", NULL);
	write_fact(file, "source", session->options.arguments[0], NULL);
	write_fact(file, "format", kioku_source_format(session->source), NULL);
	for (size_t i = 0; i < 4; i++) {
		snprintf(text, sizeof(text), "%" PRIu64 " bytes", sizes[i]);
		if (sizes[i] > 0 || i == KIOKU_RANGE_PRESENT)
			write_fact(file, states[i], text, NULL);
	}
	for (size_t i = 0; i < count && i < LISTED_RANGES; i++) {
		snprintf(text, sizeof(text), "0x%012" PRIx64 "-0x%012" PRIx64 " %s",
			 ranges[i].start, ranges[i].start + ranges[i].size - 1,
			 states[ranges[i].state]);
		write_fact(file, "range", text, NULL);
	}
	snprintf(text, sizeof(text), "%zu more; kioku info has them all",
		 count > LISTED_RANGES ? count - LISTED_RANGES : 0);
	if (count > LISTED_RANGES)
		write_fact(file, "ranges", text, NULL);
	end_facts(file);
}

static void write_manifest(FILE *file, const struct session *session)
{
	size_t count;
	const struct kioku_source_fact *facts = kioku_source_manifest(session->source, &count);

	if (count == 0) {
		fputs("<h3>Manifest</h3>\n<p class=\"nothing\">There is no manifest of this image "
		      "beside it: nothing here proves that it is as it was taken.</p>\n",
		      file);
		return;
	}
	begin_facts(file, "Manifest", NULL);
	for (size_t i = 0; i < count; i++)
		write_fact(file, facts[i].name, facts[i].value, NULL);
	end_facts(file);
	fputs("<p class=\"intro\">As the manifest beside the image says it. Digests were not "
	      "computed "
	      "again: <code>kioku verify</code> does that.</p>\n",
	      file);
}

/* What rows that are marked rest on. */
static void write_basis(FILE *file, const struct session *session)
{
	enum kioku_basis basis = kioku_kernel_basis(session->kernel);
	const char *reason = report_fact(session, "forced");

	fprintf(file, "<p class=\"gap\">Rows whose basis is <em>%s</em> ", kioku_basis_name(basis));
	if (basis == KIOKU_BASIS_INFERRED)
		fputs("were read by layouts that were worked out from memory: the image has no "
		      "types.",
		      file);
	else
		fputs("may be wrong: ", file);
	if (basis == KIOKU_BASIS_FORCED && reason)
		html_string(file, reason);
	fputs("</p>\n", file);
}

void report_overview_write(FILE *file, const struct session *session, const uint64_t *findings,
			   uint64_t gaps)
{
	const struct report_entry entry = { "overview", "Overview", false, 0 };
	size_t count;
	const struct kioku_fact *facts = kioku_kernel_facts(session->kernel, &count);

	report_section_begin(file, &entry, NULL);
	if (output_mark_name(session->kernel))
		write_basis(file, session);
	fputs("<dl class=\"headline\">\n", file);
	write_headline(file, "Host", report_fact(session, "hostname"));
	write_headline(file, "Kernel", report_fact(session, "release"));
	write_moment(file, "Booted", report_fact(session, "boot_time"));
	write_moment(file, "Captured", report_fact(session, "wall_time"));
	write_count(file, "Findings", "check", findings);
	write_count(file, "Gaps", "diagnostics", &gaps);
	fputs("</dl>\n", file);
	begin_facts(file, "Kernel, and how it was located", "evidence");
	for (size_t i = 0; i < count; i++)
		write_fact(file, facts[i].name, facts[i].value, facts[i].evidence);
	end_facts(file);
	write_source(file, session);
	write_manifest(file, session);
	report_section_end(file);
}
