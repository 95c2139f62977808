/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "capture_command.h"

static int run(struct session *session)
{
	return capture_run(session, session->options.arguments[1]);
}

const struct command convert_command = {
	.name = "convert",
	.help = "write an image in another format",
	.usage = "SOURCE FILE",
	.details = "FILE's extension says the format unless --as does, as in memory.lime or\n"
		   "memory.elf.zst; - is a pipe. What is known of each page goes over to the new\n"
		   "manifest. Nothing is ever overwritten. Exit status 3: pages are missing, or it "
		   "was\n"
		   "stopped.",
	.options = OPTION_HELP | OPTIONS_SOURCE | OPTIONS_CAPTURE,
	.run = run,
};
