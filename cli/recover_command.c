/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include <kioku/recover.h>

#include "cleanup.h"
#include "message.h"
#include "output.h"
#include "session.h"

static const struct option_row rows[] = {
	{ "output", 'o', "DIR|-", TEXT_OF(output),
	  "restore to this folder, new or empty, or a tar archive to stdout" },
	{ "list-missing", 0, NULL, FLAG_OF(list_missing),
	  "print which bytes are not in memory, and restore nothing" },
	{ "preserve", 0, NULL, FLAG_OF(preserve), "keep setuid, setgid and sticky bits" },
};

enum { PATH, START, END, REASON, BASIS, COLUMNS };

static const struct kioku_column columns[COLUMNS] = {
	[PATH] = { "path", KIOKU_KIND_TEXT, "as it would be restored", 0 },
	[START] = { "start", KIOKU_KIND_UNSIGNED, "offset of the first byte", 0 },
	[END] = { "end", KIOKU_KIND_UNSIGNED, "offset behind the last one", 0 },
	[REASON] = { "reason", KIOKU_KIND_TEXT, "why it cannot be had", 0 },
	[BASIS] = { "basis", KIOKU_KIND_TEXT, "what the row rests on", 0 },
};

static enum kioku_status say_missing(void *user, const struct kioku_missing *missing)
{
	if (missing->may_be_stale) {
		message_finding(KIOKU_WARNING, "%.*s: bytes %" PRIu64 "-%" PRIu64 ": %s",
				(int)missing->path_size, missing->path, missing->start,
				missing->end - 1, missing->reason);
		return KIOKU_OK;
	}
	message_finding(KIOKU_GAP, "%.*s: bytes %" PRIu64 "-%" PRIu64 " are left as zeros: %s",
			(int)missing->path_size, missing->path, missing->start, missing->end - 1,
			missing->reason);
	return KIOKU_OK;
}

struct listing {
	struct output output;
	const char *mark; /* see output_mark_name() */
};

static enum kioku_status list_missing(void *user, const struct kioku_missing *missing)
{
	struct listing *listing = user;
	const struct kioku_cell cells[COLUMNS] = {
		[PATH] = { .value.text = { missing->path, missing->path_size } },
		[START] = { .value.number = missing->start },
		[END] = { .value.number = missing->end },
		[REASON] = { .value.text = { missing->reason, strlen(missing->reason) } },
		[BASIS] = { .value.text = { listing->mark,
					    listing->mark ? strlen(listing->mark) : 0 } },
	};

	return output_row(&listing->output, cells, COLUMNS);
}

static void say_result(const struct kioku_recover_result *result)
{
	message_finding(KIOKU_NOTE,
			"%" PRIu64 " files with %" PRIu64 " bytes, %" PRIu64
			" further names, %" PRIu64 " folders and %" PRIu64
			" symbolic links were restored; %" PRIu64
			" devices, fifos and sockets were left out",
			result->files, result->bytes, result->links, result->folders,
			result->symlinks, result->left_out);
	if (result->missing_bytes > 0)
		message_finding(KIOKU_GAP, "%" PRIu64 " bytes are not in memory",
				result->missing_bytes);
	if (result->stale_bytes > 0)
		message_finding(KIOKU_WARNING,
				"%" PRIu64 " bytes were read from swap, and may be stale",
				result->stale_bytes);
}

static int recover(struct session *session, struct kioku_recover_options *options)
{
	struct kioku_recover_result result;
	struct kioku_error error = { 0 };

	options->size = sizeof(*options);
	options->fstype = session->options.fstype;
	options->path = session->options.path;
	options->preserve = session->options.preserve;
	enum kioku_status status = kioku_recover(session->kernel, options, &result, &error);
	if (status == KIOKU_OK && !options->only_missing)
		say_result(&result);
	if (status == KIOKU_ERROR_STOPPED)
		return STATUS_FAILED;
	if (status != KIOKU_OK)
		return message_error("%s",
				     error.message[0] ? error.message : kioku_status_name(status));
	return STATUS_COMPLETE;
}

static void release_listing(struct listing *listing)
{
	output_release(&listing->output);
}

static int run_list(struct session *session)
{
	CLEANUP(release_listing)
	struct listing listing = { .output = { .columns = columns, .depth = -1 },
				   .mark = output_mark_name(session->kernel) };
	struct output *output = &listing.output;
	struct kioku_recover_options options = { .only_missing = true,
						 .missing = list_missing,
						 .user = &listing };

	output->is_marked = listing.mark;
	output->selected_count = listing.mark ? COLUMNS : BASIS;
	output->selected = calloc(COLUMNS, sizeof(*output->selected));
	if (!output->selected)
		return message_error("out of memory");
	for (size_t i = 0; i < output->selected_count; i++)
		output->selected[i] = i;
	output_open(output, stdout, session->options.format);
	int status = recover(session, &options);
	if (!output_finish(output, status == STATUS_COMPLETE))
		return message_error("out of memory");
	return status;
}

static int run(struct session *session)
{
	const struct options *given = &session->options;
	struct kioku_recover_options options = { .folder = given->output,
						 .missing = say_missing,
						 .tar = STDOUT_FILENO };

	if (!given->output == !given->list_missing)
		return message_usage("recover: one of -o and --list-missing is required; see kioku "
				     "help recover");
	if (given->output && strcmp(given->output, "-") == 0) {
		options.folder = NULL;
		if (isatty(STDOUT_FILENO))
			return message_usage("recover: an archive is nothing for a terminal");
	}
	int status = session_open_kernel(session);
	if (status != STATUS_COMPLETE)
		return status;
	return given->list_missing ? run_list(session) : recover(session, &options);
}

const struct command recover_command = {
	.name = "recover",
	.help = "restore files that are in memory",
	.usage = "SOURCE",
	.formats = output_formats,
	.details = "Each file system gets a folder, FSTYPE-MAJOR:MINOR. Files of tmpfs are whole, "
		   "those on\n"
		   "disks as far as they are cached; what is missing is a hole, and said.",
	.options = OPTION_HELP | OPTION_FORMAT | OPTIONS_KERNEL | OPTIONS_FILES,
	.own = rows,
	.own_count = sizeof(rows) / sizeof(rows[0]),
	.run = run,
};
