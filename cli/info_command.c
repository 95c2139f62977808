/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>
#include <string.h>

#include "escape.h"
#include "json.h"
#include "message.h"
#include "session.h"

enum { LISTED_RANGES = 24 };

static const char *state_name(enum kioku_range_state state)
{
	switch (state) {
	case KIOKU_RANGE_PRESENT: return "present";
	case KIOKU_RANGE_ZERO: return "zero";
	case KIOKU_RANGE_EXCLUDED: return "excluded";
	case KIOKU_RANGE_UNREADABLE: return "unreadable";
	}
	return "unknown";
}

static void print_line(const char *name, const char *value, const char *remark)
{
	bool ascii = !locale_is_utf8();

	printf("  %-26s  ", name);
	escape_write(stdout, value, strlen(value), ascii);
	if (remark) {
		fputs("  [", stdout);
		escape_write(stdout, remark, strlen(remark), ascii);
		putchar(']');
	}
	putchar('\n');
}

static void print_source(const struct kioku_source *source)
{
	size_t range_count, cpu_count, note_size = 0;
	const struct kioku_range *ranges = kioku_source_ranges(source, &range_count);
	const struct kioku_cpu *cpus = kioku_source_cpus(source, &cpu_count);
	const char *note = kioku_source_vmcoreinfo(source, &note_size);
	uint64_t present = 0;

	for (size_t i = 0; i < range_count; i++)
		present += ranges[i].state == KIOKU_RANGE_PRESENT ? ranges[i].size : 0;
	printf("source\n  %-26s  %s\n", "format", kioku_source_format(source));
	printf("  %-26s  %" PRIu64 " bytes (%" PRIu64 " MiB) in %zu range%s\n", "present", present,
	       present >> 20, range_count, range_count == 1 ? "" : "s");
	for (size_t i = 0; i < range_count && i < LISTED_RANGES; i++)
		printf("  %-26s  0x%012" PRIx64 "-0x%012" PRIx64 "  %14" PRIu64 "  %s\n",
		       i == 0 ? "ranges" : "", ranges[i].start,
		       ranges[i].start + ranges[i].size - 1, ranges[i].size,
		       state_name(ranges[i].state));
	if (range_count > LISTED_RANGES)
		printf("  %-26s  and %zu more; --format json has them all\n", "",
		       range_count - LISTED_RANGES);
	for (size_t i = 0; i < cpu_count; i++)
		printf("  cpu %-22zu  cr3 0x%" PRIx64 "  rip 0x%" PRIx64 "  rsp 0x%" PRIx64 "\n", i,
		       cpus[i].cr3, cpus[i].rip, cpus[i].rsp);
	if (note)
		printf("  %-26s  %zu bytes\n", "vmcoreinfo note", note_size);
	else
		printf("  %-26s  none\n", "vmcoreinfo note");
}

static void print_kernel(struct kioku_kernel *kernel)
{
	size_t count;
	const struct kioku_fact *facts = kioku_kernel_facts(kernel, &count);
	bool missing = false;

	puts("kernel");
	for (size_t i = 0; i < count; i++) {
		missing |= !facts[i].value;
		if (facts[i].value)
			print_line(facts[i].name, facts[i].value, facts[i].evidence);
	}
	if (missing)
		puts("missing");
	for (size_t i = 0; i < count; i++)
		if (!facts[i].value)
			print_line(facts[i].name, facts[i].evidence, NULL);

	puts("views");
	for (const struct kioku_view *const *view = kioku_views(); *view; view++) {
		struct kioku_error error = { 0 };
		if (kioku_view_supported(*view, kernel, &error) == KIOKU_OK)
			print_line(kioku_view_name(*view), "yes", NULL);
		else
			print_line(kioku_view_name(*view), "no", error.message);
	}
}

static void write_source(struct json *json, const struct kioku_source *source)
{
	size_t range_count, cpu_count, note_size;
	const struct kioku_range *ranges = kioku_source_ranges(source, &range_count);
	const struct kioku_cpu *cpus = kioku_source_cpus(source, &cpu_count);

	json_open(json, "source", '{');
	json_string(json, "format", kioku_source_format(source));
	json_open(json, "ranges", '[');
	for (size_t i = 0; i < range_count; i++) {
		json_open(json, NULL, '{');
		json_address(json, "start", ranges[i].start);
		json_number(json, "size", ranges[i].size);
		json_string(json, "state", state_name(ranges[i].state));
		json_close(json, '}');
	}
	json_close(json, ']');
	json_open(json, "cpus", '[');
	for (size_t i = 0; i < cpu_count; i++) {
		json_open(json, NULL, '{');
		json_address(json, "cr3", cpus[i].cr3);
		json_address(json, "rip", cpus[i].rip);
		json_address(json, "rsp", cpus[i].rsp);
		json_close(json, '}');
	}
	json_close(json, ']');
	json_boolean(json, "vmcoreinfo", kioku_source_vmcoreinfo(source, &note_size) != NULL);
	json_close(json, '}');
}

/* One of the three objects about facts: values, the evidence for them, reasons for lack of them. */
static void write_facts(struct json *json, const char *key, const struct kioku_fact *facts,
			size_t count)
{
	bool missing = strcmp(key, "missing") == 0;
	bool values = strcmp(key, "kernel") == 0;

	json_open(json, key, '{');
	for (size_t i = 0; i < count; i++)
		if (missing == !facts[i].value)
			json_string(json, facts[i].name,
				    values ? facts[i].value : facts[i].evidence);
	json_close(json, '}');
}

static void write_kernel(struct json *json, struct kioku_kernel *kernel)
{
	const struct kioku_symbols *symbols = kioku_kernel_symbols(kernel);
	const struct kioku_types *types = kioku_kernel_types(kernel);
	size_t count;
	const struct kioku_fact *facts = kioku_kernel_facts(kernel, &count);

	write_facts(json, "kernel", facts, count);
	write_facts(json, "evidence", facts, count);
	write_facts(json, "missing", facts, count);
	json_number(json, "symbols", symbols ? kioku_symbols_count(symbols) : 0);
	json_number(json, "types", types ? kioku_types_count(types) : 0);
	json_open(json, "views", '{');
	for (const struct kioku_view *const *view = kioku_views(); *view; view++) {
		struct kioku_error error = { 0 };
		bool supported = kioku_view_supported(*view, kernel, &error) == KIOKU_OK;
		json_open(json, kioku_view_name(*view), '{');
		json_boolean(json, "supported", supported);
		if (!supported)
			json_string(json, "reason", error.message);
		json_close(json, '}');
	}
	json_close(json, '}');
}

/* Without symbols or types most views cannot work: that is a gap. */
static void report_gap(struct kioku_kernel *kernel, const char *name)
{
	size_t count;
	const struct kioku_fact *facts = kioku_kernel_facts(kernel, &count);

	for (size_t i = 0; i < count; i++)
		if (!facts[i].value && strcmp(facts[i].name, name) == 0)
			message_finding(KIOKU_GAP, "the kernel's %s are missing: %s", name,
					facts[i].evidence);
}

static int run(struct session *session)
{
	bool as_json = strcmp(session->options.format, "json") == 0;
	struct json json = { .file = stdout, .ascii = !locale_is_utf8() };

	int status = session_open_source(session);
	if (status != STATUS_COMPLETE)
		return status;
	/* The kernel first: it decides how a headerless file is arranged. */
	status = session_open_kernel(session);
	if (status == STATUS_COMPLETE) {
		report_gap(session->kernel, "symbols");
		report_gap(session->kernel, "types");
	}
	if (as_json) {
		json_open(&json, NULL, '{');
		write_source(&json, session->source);
		if (status == STATUS_COMPLETE)
			write_kernel(&json, session->kernel);
		else
			json_string(&json, "kernel", NULL);
		json_close(&json, '}');
		putchar('\n');
	} else {
		print_source(session->source);
		if (status == STATUS_COMPLETE)
			print_kernel(session->kernel);
	}
	return status;
}

static const char *const formats[] = { "table", "json", NULL };

const struct command info_command = {
	.name = "info",
	.help = "what an image holds: ranges, kernel, how it was found, which views work",
	.usage = "SOURCE",
	.formats = formats,
	.options = OPTION_HELP | OPTION_FORMAT | OPTIONS_KERNEL,
	.run = run,
};
