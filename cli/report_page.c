/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>
#include <time.h>

#include "report_html.h"
#include "report_page.h"

static void write_head(FILE *file, const char *host)
{
	fprintf(file,
		"<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
		"<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
		"style-src '%s'; script-src '%s'; base-uri 'none'; form-action 'none'\">\n"
		"<meta name=\"referrer\" content=\"no-referrer\">\n"
		"<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
		"<meta name=\"color-scheme\" content=\"light dark\">\n"
		"<meta name=\"generator\" content=\"kioku " KIOKU_VERSION "\">\n<title>",
		report_style_digest, report_script_digest);
	html_string(file, host);
	fprintf(file, " – memory report</title>\n<style>%s</style>\n</head>\n", report_style);
}

void report_page_begin(FILE *file, const char *host, const char *source)
{
	time_t now = time(NULL);
	char made[32];

	strftime(made, sizeof(made), "%Y-%m-%dT%H:%M:%SZ", gmtime(&now));
	write_head(file, host);
	fputs("<body>\n<a class=\"skip\" href=\"#overview\">Skip to the report</a>\n"
	      "<header class=\"title\">\n<p class=\"kind\">Memory report</p>\n<h1><bdi>",
	      file);
	html_string(file, host);
	fputs("</bdi></h1>\n<p class=\"made\">From <bdi>", file);
	html_string(file, source);
	fprintf(file,
		"</bdi>, made by kioku " KIOKU_VERSION
		" at <time>%s</time>. All times are UTC.</p>\n</header>\n",
		made);
}

void report_page_contents(FILE *file, const struct report_entry *entries, size_t count)
{
	/* The script shows these controls, which need it. */
	fputs("<div class=\"bar\" id=\"bar\" hidden>\n<form role=\"search\" id=\"search-form\">"
	      "<label for=\"search\">Search all tables</label>"
	      "<input type=\"search\" id=\"search\" autocomplete=\"off\" spellcheck=\"false\" "
	      "aria-describedby=\"found\">"
	      "<output id=\"found\" role=\"status\"></output></form>\n</div>\n"
	      "<nav aria-label=\"Contents\"><ul>\n",
	      file);
	for (size_t i = 0; i < count; i++) {
		fprintf(file, "<li><a href=\"#%s\">%s", entries[i].name, entries[i].title);
		if (entries[i].has_count)
			fprintf(file, " <span class=\"count\">%" PRIu64 "</span>",
				entries[i].count);
		fputs("</a></li>\n", file);
	}
	fputs("</ul></nav>\n<main>\n", file);
}

void report_page_end(FILE *file)
{
	fprintf(file,
		"</main>\n<footer><p>Names and texts were read from the image and may be hostile. "
		"What "
		"is invisible or would mislead in them is written as <code>\\xNN</code> (a byte), "
		"<code>\\uNNNN</code> or <code>\\UNNNNNNNN</code> (a character), and a backslash "
		"as "
		"<code>\\\\</code>; <code>\\[+N bytes]</code> stands for the rest of a long text. "
		"<span class=\"absent\">unreadable</span> and the like say why a value is missing; "
		"<span class=\"none\">–</span> means that there is none.</p></footer>\n"
		"<script>%s</script>\n</body>\n</html>\n",
		report_script);
}

void report_section_begin(FILE *file, const struct report_entry *entry, const char *intro)
{
	fprintf(file, "<section id=\"%s\" aria-labelledby=\"title-%s\">\n<h2 id=\"title-%s\">%s",
		entry->name, entry->name, entry->name, entry->title);
	if (entry->has_count)
		fprintf(file, " <span class=\"count\">%" PRIu64 "</span>", entry->count);
	fputs("</h2>\n", file);
	if (intro)
		fprintf(file, "<p class=\"intro\">%s</p>\n", intro);
}

void report_section_end(FILE *file)
{
	fputs("</section>\n", file);
}
