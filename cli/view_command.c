/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Every view is a command by itself: its columns and options come from the library. */
#include <string.h>
#include <unistd.h>

#include "area_dump.h"
#include "cleanup.h"
#include "message.h"
#include "output.h"
#include "number.h"
#include "progress.h"
#include "search_options.h"
#include "session.h"

static void cleanup_output(struct output *output)
{
	output_release(output);
}

static void show_progress(void *user, uint64_t done, uint64_t total, uint64_t lost)
{
	progress_update(user, done, total, lost);
}

/* Rows on the same terminal say that it goes on. */
static bool wants_progress(const struct session *session)
{
	unsigned mask = kioku_view_option_mask(session->command->view);

	return (mask & (KIOKU_VIEW_STRINGS | KIOKU_VIEW_RULES | KIOKU_VIEW_MEMORY)) &&
	       !isatty(STDOUT_FILENO) && isatty(STDERR_FILENO);
}

/* Where rows go. */
struct taker {
	struct output *output;
	struct area_dump *dump; /* NULL: to nowhere else */
};

static enum kioku_status take_row(void *user, const struct kioku_cell *cells, size_t count)
{
	struct taker *taker = user;

	if (taker->dump && area_dump_row(taker->dump, cells) != STATUS_COMPLETE)
		return KIOKU_ERROR_STOPPED;
	return output_row(taker->output, cells, count);
}

static int run_view(struct session *session, struct taker *taker)
{
	struct output *output = taker->output;
	const struct kioku_view *view = session->command->view;
	const struct options *given = &session->options;
	AUTO_SPACE struct kioku_address_space *space = NULL;
	struct kioku_view_options options = {
		.size = sizeof(options),
		.pids = given->pids,
		.pid_count = given->pid_count,
		.all = given->given & OPTION_ALL,
		.name = given->name,
		.steps = given->given & OPTION_STEPS,
		.fstype = given->fstype,
		.path = given->path,
		.minimum = given->search.minimum,
		.encoding = given->search.encoding,
		.rules = given->search.rules,
		.physical = given->search.physical,
		.kernel_file = given->vmlinux,
	};
	struct progress progress;
	struct kioku_error error = { 0 };

	if (given->arguments[1] && !address_parse(given->arguments[1], &options.address))
		return message_usage("%s: not an address: \"%s\"", session->command->name,
				     given->arguments[1]);
	int result = session_open_kernel(session);
	/* By its pid, the view opens an address space itself. */
	if (result == STATUS_COMPLETE && given->given & OPTION_CR3)
		result = session_open_space(session, &space);
	if (result != STATUS_COMPLETE)
		return result;

	options.space = space;
	output_mark(output, view, session->kernel);
	for (size_t i = 0; i < output->selected_count; i++)
		options.columns |= UINT64_C(1) << output->selected[i];
	if (taker->dump && options.columns)
		options.columns |= area_dump_columns(view);
	if (wants_progress(session)) {
		progress_start(&progress);
		options.progress = show_progress;
		options.progress_user = &progress;
	}
	enum kioku_status status =
		kioku_view_run(view, session->kernel, &options, take_row, taker, &error);
	if (options.progress)
		progress_finish(&progress);
	bool finished = output_finish(output, status == KIOKU_OK);
	if (status == KIOKU_ERROR_STOPPED) /* stdout takes no more; main says why */
		return STATUS_FAILED;
	if (status != KIOKU_OK)
		return message_error("%s", error.message);
	return finished ? STATUS_COMPLETE : message_error("out of memory");
}

static int run_with_dump(struct session *session, struct output *output)
{
	struct area_dump dump;
	struct taker taker = { output, &dump };
	int status = session_open_kernel(session);

	if (status != STATUS_COMPLETE)
		return status;
	status = area_dump_begin(&dump, session->options.dump, session->command->view,
				 session->kernel);
	if (status == STATUS_COMPLETE)
		status = run_view(session, &taker);
	int end = area_dump_end(&dump);
	return status == STATUS_COMPLETE ? end : status;
}

static int run(struct session *session)
{
	CLEANUP(cleanup_output) struct output output = { 0 };

	unsigned mask = kioku_view_option_mask(session->command->view);
	if (strcmp(session->options.format, config_formats[0]) == 0 &&
	    (session->options.given & (OPTION_COLUMNS | OPTION_ALL)))
		return message_usage(
			"%s: --columns and --all go with other formats: --format table",
			session->command->name);
	const char *columns = search_columns(&session->options, mask);
	int status = output_select(&output, session->command->view, columns);
	if (status != STATUS_COMPLETE)
		return status;
	output_open(&output, stdout, session->options.format);
	if (!session->options.dump)
		return run_view(session, &(struct taker){ &output, NULL });
	return run_with_dump(session, &output);
}

struct command view_command(const struct kioku_view *view)
{
	static const struct {
		enum kioku_view_option view;
		uint64_t options;
	} map[] = {
		{ KIOKU_VIEW_PID, OPTION_PIDS },
		{ KIOKU_VIEW_ALL, OPTION_ALL },
		{ KIOKU_VIEW_NAME, OPTION_NAME },
		{ KIOKU_VIEW_SPACE, OPTIONS_SPACE },
		{ KIOKU_VIEW_STEPS, OPTION_STEPS },
		{ KIOKU_VIEW_FILES, OPTIONS_FILES },
		{ KIOKU_VIEW_KERNEL_FILE, OPTION_VMLINUX },
	};
	unsigned mask = kioku_view_option_mask(view);
	struct command command = {
		.name = kioku_view_name(view),
		.help = kioku_view_help(view),
		.usage = mask & KIOKU_VIEW_ADDRESS ? "SOURCE ADDRESS" : "SOURCE",
		.formats = mask & KIOKU_VIEW_CONFIG ? config_formats : output_formats,
		.options = OPTION_HELP | OPTION_FORMAT | OPTION_COLUMNS | OPTIONS_KERNEL,
		.view = view,
		.run = run,
	};

	for (size_t i = 0; i < sizeof(map) / sizeof(map[0]); i++)
		if (mask & map[i].view)
			command.options |= map[i].options;
	if (mask & KIOKU_VIEW_STRINGS) {
		command.own = strings_options;
		command.own_count = STRINGS_OPTION_COUNT;
	}
	if (mask & KIOKU_VIEW_RULES) {
		command.own = rules_options;
		command.own_count = RULES_OPTION_COUNT;
	}
	if (mask & KIOKU_VIEW_AREAS) {
		command.own = area_dump_options;
		command.own_count = AREA_DUMP_OPTION_COUNT;
	}
	/* --pid names the address space there, not the rows. */
	if (mask & KIOKU_VIEW_SPACE)
		command.options &= ~OPTION_PIDS;
	return command;
}
