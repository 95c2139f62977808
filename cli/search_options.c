/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "number.h"
#include "search_options.h"

#include <kioku/view.h>

struct command;

static bool parse_minimum(struct options *options, const struct command *command, const char *text)
{
	return number_parse(text, &options->search.minimum) && options->search.minimum > 0 &&
	       options->search.minimum <= 65536;
}

static bool parse_encoding(struct options *options, const struct command *command, const char *text)
{
	options->search.encoding = text;
	return strcmp(text, "ascii") == 0 || strcmp(text, "utf16le") == 0 ||
	       strcmp(text, "all") == 0;
}

const struct option_row strings_options[STRINGS_OPTION_COUNT] = {
	{ "owners", 0, NULL, FLAG_OF(search.owners), "say whose memory each string is in" },
	{ "min", 0, "COUNT", BY(parse_minimum), "characters at least; the default is 4" },
	{ "encoding", 0, "ascii|utf16le|all", BY(parse_encoding),
	  "of strings; the default is all" },
};

const struct option_row rules_options[RULES_OPTION_COUNT] = {
	{ "rules", 0, "FILE", TEXT_OF(search.rules), "what to look for; required" },
	{ "physical", 0, NULL, FLAG_OF(search.physical),
	  "look into all memory, and not into processes" },
	{ "owners", 0, NULL, FLAG_OF(search.owners), "say whose memory each match is in" },
};

const char *search_columns(const struct options *options, unsigned view_options)
{
	bool owners = options->search.owners;

	if (options->columns)
		return options->columns;
	if (view_options & KIOKU_VIEW_RULES)
		return owners ? "pid,comm,rule,string,virtual,physical,owner,name,users,data"
			      : NULL;
	if (!(view_options & KIOKU_VIEW_STRINGS))
		return NULL;
	if (options->pid_count == 0)
		return owners ? "physical,owner,pid,comm,virtual,name,users,encoding,text" : NULL;
	return owners ? "pid,virtual,physical,owner,name,users,encoding,text"
		      : "pid,virtual,encoding,text";
}
