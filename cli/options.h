/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The command line, parsed: every option of every command is one row of one table. */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <kioku/source.h>

struct command;

/* Bits for struct command.options, in the order of the table in options.c. */
enum option_bit {
	OPTION_HELP = 1 << 0,
	OPTION_FORMAT = 1 << 1,
	OPTION_COLUMNS = 1 << 2,
	OPTION_PIDS = 1 << 3, /* --pid with a list, for rows */
	OPTION_PID = 1 << 4,  /* --pid with one process, for an address space */
	OPTION_CR3 = 1 << 5,
	OPTION_PHYSICAL = 1 << 6,
	OPTION_ALL = 1 << 7,
	OPTION_NAME = 1 << 8,
	OPTION_STEPS = 1 << 9,
	OPTION_PAD = 1 << 10,
	OPTION_OUTPUT = 1 << 11,
	OPTION_MAP = 1 << 12,
	OPTION_PROFILE = 1 << 13,
	OPTION_NO_CACHE = 1 << 14,
	OPTION_STATS = 1 << 15,
	OPTION_LIST = 1 << 16,

	OPTIONS_SOURCE = OPTION_MAP | OPTION_STATS,
	OPTIONS_KERNEL = OPTIONS_SOURCE | OPTION_PROFILE | OPTION_NO_CACHE,
	OPTIONS_SPACE = OPTION_PID | OPTION_CR3,
};

struct options {
	unsigned given;           /* enum option_bit, combined */
	const char *arguments[3]; /* positional; NULL past the last */
	const char *format;       /* one of the command's own */
	const char *columns, *name, *output, *profile;
	int32_t *pids;
	size_t pid_count;
	uint64_t cr3;
	struct kioku_placement *placements;
	size_t placement_count;
};

/*
 * argv[0] is the command's name. Returns STATUS_COMPLETE, or STATUS_USAGE after saying why.
 * Either way the caller calls options_release().
 */
int options_parse(struct options *options, const struct command *command, int argc, char **argv);
void options_release(struct options *options);

/* One line an option that the command takes. */
void options_print_help(FILE *file, const struct command *command);

#endif
