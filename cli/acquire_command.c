/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "capture_command.h"
#include "message.h"

static int run(struct session *session)
{
	if (!session->options.arguments[0])
		session->options.arguments[0] = "live";
	/* A default would be the current folder, which may well lie on the disk that is evidence. */
	if (!session->options.output && !session->options.to)
		return message_usage(
			"acquire: where to? -o FILE on an external disk (-o /mnt/usb/memory.lime), "
			"-o DIR/ to name it after the machine and the time (-o /mnt/usb/), -o - "
			"for "
			"a pipe, or --to DEST to send it away (--to ssh://USER@HOST/DIR/)");
	return capture_run(session, session->options.output);
}

const struct command acquire_command = {
	.name = "acquire",
	.help = "take an image of this machine's memory, or of a source",
	.usage = "[SOURCE]",
	.details =
		"SOURCE is live, the default, which is the first of module, kcore, devcrash and "
		"devmem\n"
		"that works; or any other source. -o FILE or --to DEST is required. -o DIR/ makes\n"
		"HOST_YYYYMMDD-HHMMSS.lime (UTC) there and prints its path; -o - is a pipe. DEST "
		"is\n"
		"tcp://HOST:PORT, tcp-listen://[ADDR]:PORT, ssh://[USER@]HOST/PATH, or what kioku\n"
		"receive printed. Beside the image stand its manifest, .md5, .sha256, and for a "
		"live\n"
		"machine the context archive. Nothing is ever overwritten. Exit status 3: pages "
		"were\n"
		"lost, or it was stopped.",
	.options = OPTION_HELP | OPTION_IMAGE | OPTIONS_SOURCE | OPTIONS_CAPTURE | OPTION_CONTEXT |
		   OPTION_NO_CONTEXT | OPTION_SWAP,
	.run = run,
};
