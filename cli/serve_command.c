/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <kioku/serve.h>

#include "interrupt.h"
#include "json.h"
#include "message.h"
#include "serve_options.h"
#include "session.h"

/* One row of what is told in the end. */
struct count {
	const char *name;  /* in JSON */
	const char *label; /* for people */
	uint64_t value;
};

static void put_event(struct json *json, const char *event)
{
	char text[32];
	time_t seconds = time(NULL);

	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", gmtime(&seconds));
	json_open(json, NULL, '{');
	json_string(json, "time", text);
	json_string(json, "event", event);
}

static void end_event(struct json *json)
{
	json_close(json, '}');
	putchar('\n');
	fflush(stdout);
}

static void say_ready(const struct options *options, const char *address)
{
	unsigned tags = options->serve.tags ? options->serve.tags : 256;

	if (!(options->given & OPTION_JSON)) {
		message_finding(KIOKU_NOTE, "ready at %s, UDP ports 0x3000 to 0x%x%s", address,
				0x3000 + tags - 1,
				options->serve.no_messages ? "" : ", messages at 0x2fff");
		return;
	}
	struct json json = { .file = stdout, .ascii = true };
	put_event(&json, "ready");
	json_string(&json, "address", address);
	json_number(&json, "tags", tags);
	json_boolean(&json, "messages", !options->serve.no_messages);
	end_event(&json);
}

static bool on_event(void *user, const char *address)
{
	if (address)
		say_ready(user, address);
	return !interrupt_name() && !ferror(stdout);
}

static void sum_up(const struct options *options, const struct kioku_serve_result *result)
{
	const struct count counts[] = {
		{ "requests", "requests", result->requests },
		{ "completions", "completions", result->completions },
		{ "bytes", "bytes of memory", result->bytes },
		{ "at_once", "requests at once, at most", result->at_once },
		{ "outside", "requests outside of RAM", result->outside },
		{ "absent", "requests for memory that is missing", result->absent },
		{ "translated", "requests with an address type", result->translated },
		{ "malformed", "malformed requests", result->malformed },
		{ "writes", "writes, refused", result->writes },
		{ "foreign", "datagrams of other clients", result->foreign },
		{ "messages", "messages", result->messages },
		{ "dropped", "datagrams lost", result->dropped },
		{ "duplicated", "datagrams doubled", result->duplicated },
		{ "reordered", "completions overtaken", result->reordered },
		{ "late", "requests answered late", result->late },
		{ "failed", "requests that failed", result->failed },
		{ "corrupted", "completions spoiled", result->corrupted },
		{ "unsent", "completions that could not be sent", result->unsent },
	};
	bool as_json = options->given & OPTION_JSON;
	struct json json = { .file = stdout, .ascii = true };

	if (as_json)
		put_event(&json, "summary");
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		if (as_json)
			json_number(&json, counts[i].name, counts[i].value);
		else if (counts[i].value > 0 || i < 3)
			fprintf(stderr, "%14" PRIu64 "  %s\n", counts[i].value, counts[i].label);
	}
	if (as_json)
		end_event(&json);
}

static int run(struct session *session)
{
	const struct options *given = &session->options;
	struct kioku_serve_options options = given->serve;
	struct kioku_serve_result result;
	struct kioku_error error = { 0 };

	if (!options.nettlp)
		return message_usage("serve: where? --nettlp ADDR is missing");
	int status = session_open_source(session);
	if (status == STATUS_COMPLETE && kioku_source_is_ambiguous(session->source))
		status = session_open_kernel(session);
	if (status != STATUS_COMPLETE)
		return status;
	options.size = sizeof(options);
	options.event = on_event;
	options.user = &session->options;
	interrupt_catch();
	enum kioku_status served = kioku_serve(session->source, &options, &result, &error);
	if (served == KIOKU_ERROR_ARGUMENT)
		return message_usage("serve: %s", error.message);
	if (served != KIOKU_OK)
		return message_error("%s", error.message);
	sum_up(given, &result);
	return STATUS_COMPLETE;
}

const struct command serve_command = {
	.name = "serve",
	.help = "offer an image, or a guest's RAM, as a machine with a NetTLP adapter",
	.usage = "SOURCE",
	.details =
		"Answers PCI Express memory reads that come over UDP, as the board and a target "
		"would, so that\nprograms for NetTLP (kioku with nettlp://, libtlp's) can be tried "
		"without them, over links and\ntargets as bad as need be. Writes are never carried "
		"out. Ends on Ctrl-C, and says what came.",
	.options = OPTION_HELP | OPTION_JSON | OPTIONS_SOURCE,
	.own = serve_options,
	.own_count = SERVE_OPTION_COUNT,
	.run = run,
};
