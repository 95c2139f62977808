/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A subcommand as data: what it is called, what it takes, what it does. */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <kioku/view.h>

struct option_row;
struct session;

struct command {
	const char *name;
	const char *help;           /* one line */
	const char *usage;          /* positional arguments; those in brackets may be left out */
	const char *const *formats; /* what --format takes, the default first, NULL last; or NULL */
	uint64_t options;           /* OPTION_..., combined */
	const struct option_row *own; /* options that no other command has */
	size_t own_count;
	const char *details;                 /* more for --help, or NULL */
	const struct kioku_view *view;       /* what view_command runs; NULL for the others */
	int (*run)(struct session *session); /* returns an enum exit_status */
};

extern const struct command info_command, type_command, read_command, profile_command, help_command,
	acquire_command, convert_command, verify_command, receive_command, serve_command,
	snapshot_command, dump_command, recover_command, report_command, isf_command,
	layout_command;

/* The command that shows a view. */
struct command view_command(const struct kioku_view *view);

/* By name, view names and volatility3's plugin names included. */
bool command_find(const char *name, struct command *out);

/* All commands, in the order in which help lists them; false past the last. */
bool command_at(size_t index, struct command *out);

void help_print_overview(FILE *file);
void help_print_command(FILE *file, const struct command *command);

#endif
