/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The options that snapshot alone has. */
#include <string.h>

#include "number.h"
#include "snapshot_options.h"

static bool parse_method(struct options *options, const struct command *command, const char *text)
{
	for (int method = KIOKU_SNAPSHOT_AUTO; method <= KIOKU_SNAPSHOT_STOP; method++) {
		if (strcmp(kioku_snapshot_method_name((enum kioku_snapshot_method)method), text) ==
		    0) {
			options->snapshot.options.method = (enum kioku_snapshot_method)method;
			return true;
		}
	}
	return false;
}

static bool parse_max_stop(struct options *options, const struct command *command, const char *text)
{
	return time_parse(text, &options->snapshot.options.max_stop) &&
	       options->snapshot.options.max_stop > 0;
}

static bool parse_repeat(struct options *options, const struct command *command, const char *text)
{
	return time_parse(text, &options->snapshot.repeat) && options->snapshot.repeat > 0;
}

static bool parse_count(struct options *options, const struct command *command, const char *text)
{
	return number_parse(text, &options->snapshot.count) && options->snapshot.count > 0;
}

static bool parse_exclude(struct options *options, const struct command *command, const char *text)
{
	options->snapshot.options.exclude_files = true;
	return strcmp(text, "file-backed") == 0;
}

const struct option_row snapshot_options[SNAPSHOT_OPTION_COUNT] = {
	{ "method", 'm', "auto|track|fork|stop", BY(parse_method),
	  "how; auto, the default, takes the one that harms least" },
	{ "allow-stop", 0, NULL, FLAG_OF(snapshot.options.allow_stop),
	  "auto may stop the process for as long as the image takes, if nothing else works" },
	{ "max-stop", 0, "TIME", BY(parse_max_stop),
	  "refuse what would stop a process for longer: 250us, 10ms" },
	{ "process", 0, "NAME", TEXT_OF(snapshot.name), "all processes of this name" },
	{ "tree", 0, NULL, FLAG_OF(snapshot.tree), "their descendants, too" },
	{ "exclude", 0, "file-backed", BY(parse_exclude),
	  "leave out pages that are those of files" },
	{ "repeat", 0, "TIME", BY(parse_repeat),
	  "go on, a snapshot each TIME; after the first, with what has changed only" },
	{ "count", 0, "NUMBER", BY(parse_count), "with --repeat: so many" },
	{ "rebuild", 0, "CORE", TEXT_OF(snapshot.rebuild),
	  "take no snapshot, but make one of a series whole again" },
	{ "dry-run", 0, NULL, FLAG_OF(snapshot.dry_run),
	  "only say what each method would cost the process" },
};
