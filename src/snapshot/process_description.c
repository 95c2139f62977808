/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a manifest says of the process, besides its memory. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/cleanup.h"
#include "format/manifest_json.h"
#include "snapshot/held_process.h"

static void put_instant(FILE *out, uint64_t nanoseconds)
{
	time_t seconds = (time_t)(nanoseconds / 1000000000);
	char text[32];
	struct tm utc;

	gmtime_r(&seconds, &utc);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &utc);
	fprintf(out, "\"%s.%09" PRIu64 "Z\"", text, nanoseconds % 1000000000);
}

static void put_stop(FILE *out, const struct kioku_process *process)
{
	const struct guardian_report *report = process->target->report;

	fprintf(out, "\"method\":\"%s\",\"instant\":",
		kioku_snapshot_method_name(process->summary.method));
	put_instant(out, report->instant);
	fputs(",\"stops\":[", out);
	if (report->stop > 0)
		fprintf(out, "{\"what\":\"duplicate\",\"nanoseconds\":%" PRIu64 "}", report->stop);
	fprintf(out, "],\"inconsistent_bytes\":%" PRIu64, process->layout.inconsistent);
}

char *process_description_make(const struct kioku_process *process)
{
	const struct process *about = &process->process;
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	fprintf(out, "{\"pid\":%d,\"name\":", about->pid);
	json_put_text(out, about->name);
	fputc(',', out);
	put_stop(out, process);
	fputc('}', out);
	if (fclose(out) == 0)
		return text;
	free(text);
	return NULL;
}
