/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include <kioku/verify.h>

#include "escape.h"
#include "interrupt.h"
#include "json.h"
#include "message.h"
#include "progress.h"
#include "session.h"

enum { MEGABYTE_SHIFT = 20 };

/* What the callbacks need. */
struct checking {
	struct progress progress;
	struct json json;
	bool as_json;
};

static void put_escaped(const char *text)
{
	escape_write(stdout, text, strlen(text), !locale_is_utf8());
}

static bool on_progress(void *user, uint64_t done, uint64_t total)
{
	struct checking *checking = user;

	progress_update(&checking->progress, done, total, 0);
	return !interrupt_name();
}

static void on_diagnostic(void *user, enum kioku_severity severity, const char *message)
{
	progress_diagnostic(&((struct checking *)user)->progress, severity, message);
}

/* "megabyte 3", "megabytes 3-17" */
static void print_damage(const struct kioku_damage *damage)
{
	uint64_t first = damage->offset >> MEGABYTE_SHIFT;
	uint64_t last = (damage->offset + damage->size - 1) >> MEGABYTE_SHIFT;
	char megabytes[64];

	if (damage->size == 0) {
		put_escaped(damage->what);
		putchar('\n');
		return;
	}
	if (first == last)
		snprintf(megabytes, sizeof(megabytes), "megabyte %" PRIu64, first);
	else
		snprintf(megabytes, sizeof(megabytes), "megabytes %" PRIu64 "-%" PRIu64, first,
			 last);
	printf("0x%012" PRIx64 "-0x%012" PRIx64 "  %-24s  ", damage->offset,
	       damage->offset + damage->size - 1, megabytes);
	put_escaped(damage->what);
	putchar('\n');
}

static bool on_damage(void *user, const struct kioku_damage *damage)
{
	struct checking *checking = user;
	struct json *json = &checking->json;

	progress_finish(&checking->progress);
	if (!checking->as_json) {
		print_damage(damage);
		return !ferror(stdout);
	}
	json_open(json, NULL, '{');
	if (damage->size > 0) {
		json_number(json, "offset", damage->offset);
		json_number(json, "size", damage->size);
		json_number(json, "megabyte", damage->offset >> MEGABYTE_SHIFT);
	}
	json_string(json, "what", damage->what);
	json_close(json, '}');
	return !ferror(stdout);
}

static const char *verdict_name(enum kioku_verdict verdict)
{
	switch (verdict) {
	case KIOKU_INTACT: return "intact";
	case KIOKU_PREFIX: return "prefix";
	case KIOKU_DAMAGED: return "damaged";
	}
	return "unknown";
}

static const char *proof_name(enum kioku_proof proof)
{
	switch (proof) {
	case KIOKU_PROOF_MANIFEST: return "manifest";
	case KIOKU_PROOF_JOURNAL: return "journal";
	case KIOKU_PROOF_DIGEST: return "digest";
	}
	return "unknown";
}

static void print_verdict(const char *image, const struct kioku_verify_result *result)
{
	bool is_prefix = result->verdict == KIOKU_PREFIX;

	put_escaped(image);
	printf(": %s: ", is_prefix ? "valid prefix" : verdict_name(result->verdict));
	if (result->proof == KIOKU_PROOF_DIGEST || (result->segments == 0 && !is_prefix))
		printf("%" PRIu64 " bytes compared", result->checked);
	else if (result->verdict == KIOKU_DAMAGED)
		printf("%" PRIu64 " of %" PRIu64 " segments differ", result->damaged,
		       result->segments);
	else
		printf("%" PRIu64 " segments (%" PRIu64 " bytes) are as they were written",
		       result->segments, result->checked);
	fputs(", by ", stdout);
	put_escaped(result->proof_path);
	if (result->signature_checked)
		fputs(result->verdict == KIOKU_DAMAGED ? "" : ", whose signature fits", stdout);
	else if (result->is_signed)
		fputs(", whose signature was not checked: give --key", stdout);
	putchar('\n');
}

static void write_result(struct json *json, const struct kioku_verify_result *result)
{
	json_string(json, "verdict", verdict_name(result->verdict));
	json_string(json, "proof", proof_name(result->proof));
	json_text(json, "proof_path", result->proof_path, strlen(result->proof_path));
	json_number(json, "checked", result->checked);
	json_number(json, "segments", result->segments);
	json_number(json, "damaged", result->damaged);
	json_boolean(json, "signed", result->is_signed);
	json_boolean(json, "signature_checked", result->signature_checked);
}

static int exit_status_of(enum kioku_verdict verdict)
{
	return verdict == KIOKU_INTACT   ? STATUS_COMPLETE
	       : verdict == KIOKU_PREFIX ? STATUS_GAPS
					 : STATUS_FAILED;
}

static int explain(const struct session *session, enum kioku_status status,
		   const struct kioku_error *error)
{
	if (status == KIOKU_ERROR_STOPPED && interrupt_name())
		return message_error("stopped by %s before the end", interrupt_name());
	if (status == KIOKU_ERROR_ARGUMENT)
		return message_usage("%s: %s", session->command->name, error->message);
	return message_error("%s", error->message);
}

static int check(struct session *session, struct checking *checking)
{
	const struct options *given = &session->options;
	const char *image = given->arguments[0];
	struct kioku_verify_options options = {
		.size = sizeof(options),
		.manifest = given->manifest,
		.key = given->key,
		.range_start = given->range_start,
		.range_size = given->range_size,
		.threads = given->threads,
		.damage = on_damage,
		.damage_user = checking,
		.progress = on_progress,
		.progress_user = checking,
		.diagnostic = on_diagnostic,
		.diagnostic_user = checking,
	};
	struct kioku_verify_result result;
	struct kioku_error error = { 0 };

	progress_start(&checking->progress);
	enum kioku_status status = kioku_verify(image, &options, &result, &error);
	progress_finish(&checking->progress);
	if (checking->as_json)
		json_close(&checking->json, ']');
	if (status != KIOKU_OK) {
		if (checking->as_json)
			json_string(&checking->json, "verdict", NULL);
		return explain(session, status, &error);
	}
	if (checking->as_json)
		write_result(&checking->json, &result);
	else
		print_verdict(image, &result);
	return exit_status_of(result.verdict);
}

static int run(struct session *session)
{
	const char *image = session->options.arguments[0];
	struct checking checking = {
		.as_json = strcmp(session->options.format, "json") == 0,
		.json = { .file = stdout, .ascii = !locale_is_utf8() },
	};

	interrupt_catch();
	if (!checking.as_json)
		return check(session, &checking);
	json_open(&checking.json, NULL, '{');
	json_text(&checking.json, "image", image, strlen(image));
	json_open(&checking.json, "damage", '[');
	int status = check(session, &checking);
	json_close(&checking.json, '}');
	putchar('\n');
	return status;
}

static const char *const formats[] = { "table", "json", NULL };

const struct command verify_command = {
	.name = "verify",
	.help = "whether an image is as it was written, and where it is not",
	.usage = "IMAGE",
	.formats = formats,
	.details = "Checks IMAGE against IMAGE.manifest.json, against IMAGE.manifest.partial of a "
		   "capture that\nwas killed, or else against digest files such as IMAGE.sha256. "
		   "Exit status 0: intact,\n1: damaged, or nothing to check it against, 3: a valid "
		   "prefix.",
	.options = OPTION_HELP | OPTION_FORMAT | OPTION_MANIFEST | OPTION_KEY | OPTION_RANGE |
		   OPTION_THREADS,
	.run = run,
};
