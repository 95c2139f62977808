/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include <kioku/receive.h>

#include "interrupt.h"
#include "message.h"
#include "receive_json.h"
#include "session.h"
#include "transfers.h"

/* What the callback needs. */
struct receiving {
	struct transfers transfers;
	const char *token_file; /* NULL: the token is in the URL */
	bool as_json;
};

/* 'it''s', as a shell reads it. */
static void quote(const char *text, char *out, size_t size)
{
	size_t used = 0;

	out[used++] = '\'';
	for (; *text && used + 6 < size; text++) {
		if (*text == '\'')
			used += (size_t)sprintf(out + used, "'\\''");
		else
			out[used++] = *text;
	}
	out[used++] = '\'';
	out[used] = '\0';
}

/* What is pasted on a target. */
static void make_command(const struct receiving *receiving, const char *url, char *out, size_t size)
{
	char where[512], file[4200];

	quote(url, where, sizeof(where));
	if (receiving->token_file) {
		quote(receiving->token_file, file, sizeof(file));
		snprintf(out, size, "kioku acquire --to %s --token-file %s", where, file);
	} else {
		snprintf(out, size, "kioku acquire --to %s", where);
	}
}

static bool on_event(void *user, const struct kioku_receive_event *event)
{
	struct receiving *receiving = user;
	char command[5000] = "";

	if (event && event->kind == KIOKU_RECEIVE_URL)
		make_command(receiving, event->url, command, sizeof(command));
	if (event && (receiving->as_json || *command))
		transfers_hide(&receiving->transfers);
	if (event && receiving->as_json) {
		receive_json_print(event, command);
	} else if (*command) {
		puts(command);
		fflush(stdout);
	}
	transfers_event(&receiving->transfers, event);
	return !interrupt_name() && !ferror(stdout);
}

/* Each transfer may have several files open. */
static void raise_file_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static void sum_up(const struct kioku_receive_result *result)
{
	if (result->unfinished > 0)
		message_finding(KIOKU_GAP,
				"unfinished transfers: %" PRIu64
				"; start the receiver again to go on",
				result->unfinished);
	if (result->incomplete > 0)
		message_finding(KIOKU_GAP, "images that are not whole: %" PRIu64,
				result->incomplete);
	if (result->failed > 0)
		message_finding(KIOKU_GAP, "failed transfers: %" PRIu64, result->failed);
	if (result->not_stored > 0)
		message_finding(KIOKU_GAP,
				"images that were not uploaded: %" PRIu64
				"; the next start tries it again",
				result->not_stored);
}

static int run(struct session *session)
{
	const struct options *given = &session->options;
	struct receiving receiving = {
		.as_json = given->given & OPTION_JSON,
		.token_file = given->token_file,
	};
	struct kioku_receive_options options = given->receive;
	struct kioku_receive_result result;
	struct kioku_error error = { 0 };

	if (given->given & (OPTION_REGION | OPTION_CREDENTIALS | OPTION_STORE_CA) &&
	    !(given->given & OPTION_STORE))
		return message_usage("receive: --store-region, --store-credentials and --store-ca "
				     "are for --store");
	options.size = sizeof(options);
	options.token_file = given->token_file;
	options.standing = given->given & OPTION_STANDING;
	options.event = on_event;
	options.user = &receiving;
	interrupt_catch();
	raise_file_limit();
	transfers_start(&receiving.transfers);
	enum kioku_status status = kioku_receive(&options, &result, &error);
	transfers_finish(&receiving.transfers);
	if (status == KIOKU_ERROR_ARGUMENT)
		return message_usage("receive: %s", error.message);
	if (status != KIOKU_OK)
		return message_error("%s", error.message);
	sum_up(&result);
	return STATUS_COMPLETE;
}

const struct command receive_command = {
	.name = "receive",
	.help = "receive images from many machines at once",
	.usage = "",
	.details = "Prints the line to paste on a machine whose memory is to come here. Each image "
		   "gets "
		   "a folder\nHOST_YYYYMMDD-HHMMSS (UTC) in DIR. Links that break, and a receiver "
		   "that is "
		   "started again,\ncost nothing but time. Ends on Ctrl-C, or after --count "
		   "images. Exit "
		   "status 3: a transfer\nfailed or is unfinished, or an image is not whole.",
	.options = OPTION_HELP | OPTION_TOKEN_FILE | OPTION_LISTEN | OPTION_ADVERTISE | OPTION_OUT |
		   OPTION_STANDING | OPTION_TOKENS | OPTION_QUOTA | OPTION_DONE_COUNT |
		   OPTION_CONNECTIONS | OPTION_JSON | OPTION_STORE | OPTION_REGION |
		   OPTION_CREDENTIALS | OPTION_STORE_CA,
	.run = run,
};
