/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "escape.h"
#include "message.h"
#include "session.h"

/* Written ahead, because the handler may not format anything. */
static char bus_error_message[1024];

/* A mapped image that shrinks, or whose disk fails, is only noticed as SIGBUS. */
static void handle_bus_error(int signal)
{
	ssize_t written = write(STDERR_FILENO, bus_error_message, strlen(bus_error_message));
	(void)written;
	_exit(STATUS_FAILED);
}

static void catch_bus_errors(const char *where)
{
	struct sigaction action = { .sa_handler = handle_bus_error };
	FILE *file = fmemopen(bus_error_message, sizeof(bus_error_message) - 1, "w");

	if (!file)
		return;
	fputs("kioku: error: cannot read on, the file became shorter or its disk fails: ", file);
	escape_write(file, where, strlen(where), !locale_is_utf8());
	putc('\n', file);
	fclose(file);
	sigaction(SIGBUS, &action, NULL);
}

int session_open_source(struct session *session)
{
	const char *where = session->options.arguments[0];
	struct kioku_source_options options = {
		.size = sizeof(options),
		.placements = session->options.placements,
		.placement_count = session->options.placement_count,
		.diagnostic = message_diagnostic,
	};
	struct kioku_error error = { 0 };

	if (session->source)
		return STATUS_COMPLETE;
	catch_bus_errors(where);
	if (kioku_source_open(where, &options, &session->source, &error) != KIOKU_OK)
		return message_error("%s", error.message);
	return STATUS_COMPLETE;
}

/* $XDG_CACHE_HOME/kioku or ~/.cache/kioku, for the caller to free; NULL if there is no home. */
static char *cache_folder(void)
{
	const char *cache = getenv("XDG_CACHE_HOME");
	const char *home = getenv("HOME");
	char *folder;

	/* The XDG base directory specification has relative paths ignored. */
	if (cache && cache[0] == '/')
		return asprintf(&folder, "%s/kioku", cache) < 0 ? NULL : folder;
	if (home && home[0] == '/')
		return asprintf(&folder, "%s/.cache/kioku", home) < 0 ? NULL : folder;
	return NULL;
}

static enum kioku_status open_kernel(struct session *session, kioku_diagnostic_fn *diagnostic,
				     struct kioku_error *error)
{
	/* Nothing is written to the disk of a machine that is evidence, and nothing on it is trusted. */
	bool cached = !(session->options.given & OPTION_NO_CACHE) &&
		      !kioku_source_is_live(session->source);
	AUTO_FREE char *cache = cached ? cache_folder() : NULL;
	const struct kioku_view *view = session->command->view;
	struct kioku_kernel_options options = {
		.size = sizeof(options),
		.memory_alone = view && (kioku_view_option_mask(view) & KIOKU_VIEW_MEMORY),
		.profile = session->options.profile,
		.types = session->options.types,
		.symbols = session->options.symbols,
		.force = session->options.given & OPTION_FORCE,
		.cache_folder = cache,
		.diagnostic = diagnostic,
		.ignore_btf = session->options.given & OPTION_NO_BTF,
	};

	return kioku_kernel_open(session->source, &options, &session->kernel, error);
}

int session_open_kernel(struct session *session)
{
	struct kioku_error error = { 0 };

	int status = session_open_source(session);
	if (status != STATUS_COMPLETE || session->kernel)
		return status;
	if (open_kernel(session, message_diagnostic, &error) != KIOKU_OK)
		return message_error("%s: %s", session->options.arguments[0], error.message);
	for (size_t i = 0; i < session->options.swap_count; i++)
		if (kioku_kernel_add_swap(session->kernel, session->options.swaps[i], &error) !=
		    KIOKU_OK)
			return message_error("--swap %s", error.message);
	return STATUS_COMPLETE;
}

void session_try_kernel(struct session *session)
{
	if (open_kernel(session, NULL, NULL) != KIOKU_OK)
		session->kernel = NULL;
}

int session_open_space(struct session *session, struct kioku_address_space **out)
{
	const struct options *options = &session->options;
	struct kioku_error error = { 0 };
	enum kioku_status status = KIOKU_OK;

	if (options->given & OPTION_PID)
		status = kioku_process_space_open(session->kernel, options->pids[0], out, &error);
	else if (options->given & OPTION_CR3)
		status = kioku_cr3_space_open(session->kernel, options->cr3, out, &error);
	return status == KIOKU_OK ? STATUS_COMPLETE : message_error("%s", error.message);
}

bool session_is_source(const struct session *session, const char *path)
{
	const char *where = session->options.arguments[0];
	const char *colon = strchr(where, ':');
	struct stat output, source;

	if ((session->source && kioku_source_is_live(session->source)) || stat(path, &output) != 0)
		return false;
	if (stat(where, &source) != 0 && (!colon || stat(colon + 1, &source) != 0))
		return false;
	return output.st_dev == source.st_dev && output.st_ino == source.st_ino;
}

static void print_stats(const struct session *session)
{
	struct kioku_source_stats stats = { 0 };
	struct timespec now;

	if (session->source)
		stats = kioku_source_stats(session->source);
	clock_gettime(CLOCK_MONOTONIC, &now);
	int64_t milliseconds = (now.tv_sec - session->started.tv_sec) * 1000 +
			       (now.tv_nsec - session->started.tv_nsec) / 1000000;
	fprintf(stderr,
		"stats: %" PRIu64 " bytes, %" PRIu64 " requests, %" PRIu64 " rounds, %" PRId64
		" ms\n",
		stats.bytes, stats.requests, stats.rounds, milliseconds);
}

void session_close(struct session *session)
{
	kioku_kernel_close(session->kernel); /* which has last words of its own */
	if (session->options.given & OPTION_STATS)
		print_stats(session);
	kioku_source_close(session->source);
	options_release(&session->options);
}
