/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "capture_command.h"
#include "cleanup.h"
#include "interrupt.h"
#include "message.h"
#include "place.h"
#include "progress.h"

/* A live page comes in microseconds: one that takes seconds will not come at all. */
enum { LIVE_TIMEOUT = 5000 };

enum { HOST_LIMIT = 64 };

/* What can be refused before anything is opened. */
static int check_options(const struct session *session, const char *destination)
{
	const struct options *options = &session->options;
	const char *name = session->command->name;

	if (options->given & OPTION_CONTEXT && options->given & OPTION_NO_CONTEXT)
		return message_usage("%s: only one of --context and --no-context can be used",
				     name);
	if (options->given & (OPTION_TOKEN_FILE | OPTION_RETRY) &&
	    strncmp(destination, "kioku://", 8) != 0)
		return message_usage("%s: --token-file and --retry are for --to kioku://", name);
	if (!place_is_stream(destination))
		return STATUS_COMPLETE;
	if (strcmp(destination, "-") == 0 && isatty(STDOUT_FILENO))
		return message_usage(
			"%s: an image does not go to a terminal; name a file, or pipe it", name);
	if (options->given & OPTION_SWAP)
		return message_usage("%s: --swap needs a file to put swap areas beside", name);
	if (!options->manifest && options->given & (OPTION_CONTEXT | OPTION_SIGN))
		return message_usage("%s: to a stream, --%s needs --manifest FILE", name,
				     options->given & OPTION_CONTEXT ? "context" : "sign");
	return STATUS_COMPLETE;
}

static void lower_priority(void)
{
	enum { WHO_PROCESS = 1, CLASS_IDLE = 3, CLASS_SHIFT = 13 }; /* linux/ioprio.h */

	/* Of this thread, and so of all that it starts. */
	if (setpriority(PRIO_PROCESS, 0, 19) != 0)
		message_finding(KIOKU_WARNING, "cannot lower the CPU priority: %s",
				strerror(errno));
	if (syscall(SYS_ioprio_set, WHO_PROCESS, 0, CLASS_IDLE << CLASS_SHIFT) != 0)
		message_finding(KIOKU_WARNING, "cannot lower the I/O priority: %s",
				strerror(errno));
}

/*
 * A file's kernel is worth finding: it gives VMCOREINFO and virtual addresses to the formats that
 * carry them. A live machine says these itself, and searching it would disturb it for nothing.
 */
static int open_all(struct session *session)
{
	int status = session_open_source(session);

	if (status != STATUS_COMPLETE || kioku_source_is_live(session->source))
		return status;
	if (kioku_source_is_ambiguous(session->source) ||
	    kioku_source_lacks_ranges(session->source))
		return session_open_kernel(session);
	session_try_kernel(session);
	return STATUS_COMPLETE;
}

/* A process has no source before it is stopped. */
static bool is_live(const struct session *session)
{
	return session->source && kioku_source_is_live(session->source);
}

/* The name of the process or machine whose memory it is, fit for a file's; "" if nobody knows. */
static void name_subject(const struct session *session, char out[HOST_LIMIT + 1])
{
	struct utsname system = { 0 };
	const char *name = session->process ? session->process : "";
	size_t length = 0, count = 0;

	if (is_live(session) && uname(&system) == 0)
		name = system.nodename;
	const struct kioku_fact *facts =
		session->kernel ? kioku_kernel_facts(session->kernel, &count) : NULL;
	for (size_t i = 0; i < count; i++)
		if (strcmp(facts[i].name, "hostname") == 0 && facts[i].value)
			name = facts[i].value;
	for (; name[length] && length < HOST_LIMIT; length++) {
		unsigned char c = (unsigned char)name[length];
		bool fits = c < 0x80 && (isalnum(c) || (length > 0 && strchr("._-", c)));
		out[length] = fits ? (char)c : '_';
	}
	out[length] = '\0';
}

static const char *codec_extension(const char *codec)
{
	return !codec || strcmp(codec, "none") == 0 ? ""
	       : strcmp(codec, "zstd") == 0         ? ".zst"
	       : strcmp(codec, "gzip") == 0         ? ".gz"
						    : ".lz4";
}

static const char *format_extension(const struct kioku_capture_options *capture)
{
	const struct kioku_image_format *const *format = kioku_image_formats();

	while (capture->format && strcmp((*format)->name, capture->format) != 0)
		format++;
	return (*format)->extension;
}

/* SUBJECT_YYYYMMDD-HHMMSS.EXTENSION in a folder, for the caller to free; NULL: no memory. */
static char *name_in_folder(const struct session *session, const char *folder)
{
	const struct kioku_capture_options *capture = &session->options.capture;
	char subject[HOST_LIMIT + 1];
	AUTO_FREE char *name = NULL;
	time_t now = time(NULL);
	struct tm utc;

	name_subject(session, subject);
	gmtime_r(&now, &utc);
	if (asprintf(&name, "%s_%04d%02d%02d-%02d%02d%02d.%s%s", subject[0] ? subject : "unknown",
		     utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min,
		     utc.tm_sec, session->process ? "core" : format_extension(capture),
		     codec_extension(capture->codec)) < 0)
		return NULL;
	return place_in_folder(folder, name);
}

static bool on_progress(void *user, const struct kioku_capture_progress *now)
{
	progress_update(user, now->done, now->total, now->lost);
	return !interrupt_name();
}

/* The options as they were given, and defaults that depend on the source. */
static struct kioku_capture_options settle(struct session *session, const char *destination,
					   struct progress *progress)
{
	const struct options *given = &session->options;
	struct kioku_capture_options capture = given->capture;
	bool live = is_live(session);

	capture.size = sizeof(capture);
	if (!capture.format && place_is_stream(destination) && !session->process)
		capture.format = kioku_image_formats()[0]->name;
	if (!(given->given & OPTION_DIGEST))
		capture.digests = KIOKU_DIGEST_MD5 | KIOKU_DIGEST_SHA256;
	if (!(given->given & OPTION_TIMEOUT))
		capture.read_timeout = live ? LIVE_TIMEOUT : 0;
	capture.threads = given->threads;
	capture.manifest = given->manifest;
	capture.token_file = given->token_file;
	/* A stream has nothing beside which an archive could stand, but its manifest. */
	capture.context = live && !(given->given & OPTION_NO_CONTEXT) &&
			  (!place_is_stream(destination) || given->manifest);
	capture.swap = given->given & OPTION_SWAP;
	capture.kernel = session->process ? NULL : session->kernel;
	capture.progress = on_progress;
	capture.progress_user = progress;
	capture.diagnostic = progress_diagnostic;
	capture.diagnostic_user = progress;
	return capture;
}

static int refuse(const struct session *session, const struct kioku_error *error)
{
	if (error->status == KIOKU_ERROR_ARGUMENT)
		return message_usage("%s: %s", session->command->name, error->message);
	return message_error("%s", error->message);
}

int capture_check_process(struct session *session, const char *destination)
{
	struct kioku_error error = { 0 };

	session->process = ""; /* its name does not matter yet */
	AUTO_FREE char *place = capture_place(session, destination);
	const struct kioku_capture_options options = settle(session, destination, NULL);
	session->process = NULL;
	if (!place)
		return message_error("out of memory");
	return kioku_capture_check_process(place, &options, &error) == KIOKU_OK
		       ? STATUS_COMPLETE
		       : refuse(session, &error);
}

static int conclude(const struct kioku_capture_result *result, bool print_digests)
{
	if (print_digests && result->image_md5[0])
		fprintf(stderr, "%s  -\n", result->image_md5);
	if (print_digests && result->image_sha256[0])
		fprintf(stderr, "%s  -\n", result->image_sha256);
	if (!result->complete)
		message_finding(KIOKU_GAP,
				"stopped by %s: the image is a valid prefix, and not complete",
				interrupt_name() ? interrupt_name() : "request");
	else if (result->lost_size > 0 && !message_any_gap())
		message_finding(KIOKU_GAP, "%" PRIu64 " bytes of memory could not be had",
				result->lost_size);
	return STATUS_COMPLETE;
}

int capture_to(struct session *session, const char *destination)
{
	struct progress progress;
	struct kioku_capture_options options = settle(session, destination, &progress);
	struct kioku_capture_result result = { 0 };
	struct kioku_error error = { 0 };

	interrupt_catch();
	progress_start(&progress);
	enum kioku_status status =
		kioku_capture(session->source, destination, &options, &result, &error);
	progress_finish(&progress);
	if (status == KIOKU_ERROR_STOPPED)
		return message_error("stopped by %s before anything was read",
				     interrupt_name() ? interrupt_name() : "request");
	if (status != KIOKU_OK)
		return refuse(session, &error);
	if (result.place[0])
		puts(result.place);
	return conclude(&result, place_is_stream(destination) && !options.manifest);
}

char *capture_place(const struct session *session, const char *destination)
{
	return place_is_folder(destination) ? name_in_folder(session, destination)
					    : strdup(destination);
}

int capture_begin(struct session *session, const char *path, const char **destination)
{
	const char *name = session->command->name;

	*destination = session->options.to ? session->options.to : path;
	if (session->options.to && path)
		return message_usage("%s: only one of %s and --to can be used", name, path);
	if (path && place_is_far(path))
		return message_usage("%s: a URL is for --to", name);
	int status = check_options(session, *destination);
	if (status == STATUS_COMPLETE && session->options.given & OPTION_LOW_PRIORITY)
		lower_priority();
	return status;
}

int capture_run(struct session *session, const char *path)
{
	const char *destination;
	int status = capture_begin(session, path, &destination);

	if (status != STATUS_COMPLETE)
		return status;
	status = open_all(session);
	if (status != STATUS_COMPLETE)
		return status;
	if (session->options.given & (OPTION_CONTEXT | OPTION_SWAP) &&
	    !kioku_source_is_live(session->source))
		return message_usage("%s: --context and --swap are for a live machine",
				     session->command->name);
	AUTO_FREE char *place = capture_place(session, destination);
	if (!place)
		return message_error("out of memory");
	if (place_is_folder(destination) && !place_is_far(place)) {
		puts(place);
		fflush(stdout);
	}
	return capture_to(session, place);
}
