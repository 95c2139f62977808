/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "check/ways.h"

#include <stdio.h>

void ways_text(const struct ways *ways, unsigned set, char out[CHECK_TEXT])
{
	size_t size = 0;

	out[0] = '\0';
	for (unsigned i = 0; i < ways->count; i++)
		if (set >> i & 1)
			size += (size_t)snprintf(out + size, CHECK_TEXT - size, "%s%s",
						 size ? ", " : "", ways->names[i]);
}

enum kioku_status ways_ask(struct kioku_kernel *kernel, const struct ways *ways, unsigned set,
			   way_fn *ask, void *user, unsigned *damaged)
{
	struct gap_listener listener;
	struct kioku_error error = { 0 };
	char text[CHECK_TEXT];

	gap_listener_begin(&listener, &kernel->diagnostics);
	enum kioku_status status = ask(user, &error);
	gap_listener_end(&listener, &kernel->diagnostics);
	if (status == KIOKU_ERROR_NO_MEMORY)
		return status;
	if (status != KIOKU_OK) {
		ways_text(ways, set, text);
		diagnose(&kernel->diagnostics, KIOKU_GAP, "%s were not compared with: %s: %s",
			 ways->what, text,
			 error.message[0] ? error.message : kioku_status_name(status));
	}
	if (status != KIOKU_OK || listener.has_gap)
		*damaged |= set;
	return KIOKU_OK;
}

enum kioku_status ways_report(struct check_run *run, const struct ways *ways,
			      const struct disagreement *disagreement)
{
	const char *doubt = disagreement->doubt;
	struct check_result result = disagreement->about;
	char has[CHECK_TEXT], has_not[CHECK_TEXT], all[CHECK_TEXT];
	char found[3 * CHECK_TEXT], expected[2 * CHECK_TEXT];

	ways_text(ways, disagreement->found, has);
	ways_text(ways, disagreement->missing, has_not);
	ways_text(ways, disagreement->expected, all);
	snprintf(found, sizeof(found), "%s is not in: %s; it is in: %s%s%s", disagreement->thing,
		 has_not, has, doubt ? "; " : "", doubt ? doubt : "");
	snprintf(expected, sizeof(expected), "%s is in: %s", disagreement->norm, all);
	result.severity = doubt ? CHECK_NOTE : CHECK_FINDING;
	result.certainty = doubt                      ? CHECK_POSSIBLE
			   : disagreement->was_carved ? CHECK_LIKELY
						      : CHECK_CERTAIN;
	result.found = found;
	result.expected = expected;
	return check_report(run, &result);
}
