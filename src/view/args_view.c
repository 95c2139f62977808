/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* args and env: what a process was started with, from its own memory, which it can change. */
#include <string.h>

#include "kernel/process_text.h"
#include "view/process_views.h"

static const struct record *const records[] = { &task_record, &memory_map_record, NULL };

static struct kioku_cell lost(const struct view_run *run, const struct process *process,
			      const char *what, enum kioku_status status)
{
	diagnose(&run->kernel->diagnostics, KIOKU_GAP, "process %d: %s: %s", process->task->tgid,
		 what, kioku_status_name(status));
	return cell_absent(presence_of(status));
}

/* --- args */

static const struct kioku_column args_columns[] = {
	{ "pid", KIOKU_KIND_INTEGER, "process id, initial namespace", 0 },
	{ "comm", KIOKU_KIND_TEXT, "name, which the process can change", 0 },
	{ "args", KIOKU_KIND_TEXTS, "arguments, the program's name first", 0 },
};

/*
 * Where the last byte of the arguments is no NUL, the process has written a title over them, which
 * goes on in the environment: fs/proc/base.c, get_mm_cmdline(), v4.18 to v7.0.
 */
static enum kioku_status read_args(const struct process *process, struct process_text *out)
{
	const struct memory_map *map = &process->map;

	TRY(process_text_read(process->space, map->arguments_start, map->arguments_end, out));
	if (out->size == 0 || out->data[out->size - 1] == '\0')
		return KIOKU_OK;
	AUTO_FREE char *arguments = TAKE(out->data);
	if (map->environment_start == map->arguments_end &&
	    map->environment_end > map->environment_start)
		TRY(process_text_read(process->space, map->arguments_start, map->environment_end,
				      out));
	else
		out->data = TAKE(arguments);
	const char *end = memchr(out->data, 0, out->size);
	out->size = end ? (size_t)(end - out->data) : out->size;
	return KIOKU_OK;
}

static enum kioku_status give_args(struct view_run *run, const struct process *process)
{
	AUTO_PROCESS_TEXT struct process_text text = { 0 };
	struct kioku_cell cells[] = { cell_integer(process->task->tgid), process_comm(process),
				      cell_absent(KIOKU_CELL_NOT_APPLICABLE) };

	if (view_wants_column(run, 2)) {
		enum kioku_status status = read_args(process, &text);
		cells[2] = status == KIOKU_OK ? cell_text(text.data, text.size)
					      : lost(run, process, "its arguments", status);
	}
	return view_row(run, cells);
}

static enum kioku_status run_args(struct view_run *run, struct kioku_error *error)
{
	return view_each_process(run, give_args, error);
}

const struct kioku_view args_view = {
	.name = "args",
	.help = "arguments of processes",
	VIEW_COLUMNS(args_columns),
	.options = KIOKU_VIEW_PID,
	.needs_tasks = true,
	.records = records,
	.run = run_args,
};

/* --- env */

static const struct kioku_column env_columns[] = {
	{ "pid", KIOKU_KIND_INTEGER, "process id, initial namespace", 0 },
	{ "comm", KIOKU_KIND_TEXT, "name, which the process can change", 0 },
	{ "name", KIOKU_KIND_TEXT, "of the variable; none if there is no \"=\"", 0 },
	{ "value", KIOKU_KIND_TEXT, "what it was when the process was started", 0 },
};

static enum kioku_status give_variable(struct view_run *run, const struct process *process,
				       const char *text, size_t size)
{
	const char *equals = memchr(text, '=', size);
	size_t name = equals ? (size_t)(equals - text) : 0;
	const char *value = equals ? equals + 1 : text;
	const struct kioku_cell cells[] = {
		cell_integer(process->task->tgid),
		process_comm(process),
		equals ? cell_text(text, name) : cell_absent(KIOKU_CELL_NOT_APPLICABLE),
		cell_text(value, size - (size_t)(value - text)),
	};

	return view_row(run, cells);
}

static enum kioku_status give_env(struct view_run *run, const struct process *process)
{
	const struct memory_map *map = &process->map;
	AUTO_PROCESS_TEXT struct process_text text = { 0 };
	enum kioku_status status = process_text_read(process->space, map->environment_start,
						     map->environment_end, &text);

	if (status != KIOKU_OK)
		lost(run, process, "its environment", status);
	for (size_t at = 0, length; at < text.size; at += length + 1) {
		length = strnlen(text.data + at, text.size - at);
		TRY(give_variable(run, process, text.data + at, length));
	}
	return KIOKU_OK;
}

static enum kioku_status run_env(struct view_run *run, struct kioku_error *error)
{
	return view_each_process(run, give_env, error);
}

const struct kioku_view env_view = {
	.name = "env",
	.help = "environment variables of processes",
	VIEW_COLUMNS(env_columns),
	.options = KIOKU_VIEW_PID,
	.needs_tasks = true,
	.records = records,
	.run = run_env,
};
