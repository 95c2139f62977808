/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "capture_command.h"
#include "message.h"

static int run(struct session *session)
{
	if (!session->options.arguments[1] && !session->options.to)
		return message_usage("convert: where to? FILE or --to DEST is missing");
	return capture_run(session, session->options.arguments[1]);
}

const struct command convert_command = {
	.name = "convert",
	.help = "write an image in another format",
	.usage = "SOURCE [FILE]",
	.details = "FILE's extension says the format unless --as does, as in memory.lime or\n"
		   "memory.elf.zst; - is a pipe. --to DEST sends it away instead, as acquire does. "
		   "What\n"
		   "is known of each page goes over to the new manifest. Nothing is ever "
		   "overwritten.\n"
		   "Exit status 3: pages are missing, or it was stopped.",
	.options = OPTION_HELP | OPTIONS_SOURCE | OPTIONS_CAPTURE,
	.run = run,
};
