/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a manifest says of the process, besides its memory. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/cleanup.h"
#include "format/json_writer.h"
#include "snapshot/held_process.h"

static void put_instant(struct json_writer *json, uint64_t nanoseconds)
{
	time_t seconds = (time_t)(nanoseconds / 1000000000);
	char date[32], text[64];
	struct tm utc;

	gmtime_r(&seconds, &utc);
	strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &utc);
	snprintf(text, sizeof(text), "%s.%09" PRIu64 "Z", date, nanoseconds % 1000000000);
	json_put_text(json, "instant", text);
}

static void put_one_stop(struct json_writer *json, const char *what, uint64_t nanoseconds)
{
	if (nanoseconds == 0)
		return;
	json_begin_object(json, NULL);
	json_put_text(json, "what", what);
	json_put_unsigned(json, "nanoseconds", nanoseconds);
	json_end_object(json);
}

static void put_stop(struct json_writer *json, const struct kioku_process *process)
{
	const struct guardian_report *report = process->target->report;
	bool is_copy = process->summary.method == KIOKU_SNAPSHOT_TRACK;

	json_begin_object(json, NULL);
	json_put_text(json, "method", kioku_snapshot_method_name(process->summary.method));
	put_instant(json, report->instant);
	json_begin_array(json, "stops");
	put_one_stop(json, "setup", report->setup);
	put_one_stop(json, "watch", report->watch);
	put_one_stop(json, is_copy ? "copy" : "duplicate", report->stop);
	put_one_stop(json, "teardown", report->teardown);
	json_end_array(json);
	json_put_unsigned(json, "inconsistent_bytes", process->layout.inconsistent);
	if (report->has_cleared)
		json_put_flag(json, "soft_dirty_cleared", true);
}

/* The facts are an object, which this one goes on with. */
char *process_description_make(const struct kioku_process *process)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	struct json_writer json = { .out = out };

	if (!out)
		return NULL;
	put_stop(&json, process);
	if (process->facts) {
		fprintf(out, ",%s", process->facts + 1);
	} else {
		json_put_signed(&json, "pid", process->process.pid);
		json_put_text(&json, "name", process->process.name);
		json_end_object(&json);
	}
	if (fclose(out) == 0)
		return text;
	free(text);
	return NULL;
}
