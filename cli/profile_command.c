/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "message.h"
#include "session.h"

static int run(struct session *session)
{
	const char *path = session->options.output;
	struct kioku_error error = { 0 };

	if (!path)
		return message_usage("profile: -o FILE is missing; see kioku help profile");
	if (session_is_source(session, path))
		return message_usage("profile: \"%s\" is the image itself", path);
	int status = session_open_kernel(session);
	if (status != STATUS_COMPLETE)
		return status;
	if (kioku_kernel_save_profile(session->kernel, path, &error) != KIOKU_OK)
		return message_error("%s", error.message);
	return STATUS_COMPLETE;
}

const struct command profile_command = {
	.name = "profile",
	.help = "save what was located and decoded, for --profile of a later run",
	.usage = "SOURCE",
	.details = "-o FILE is required. The profile fits images of the same kernel build only.",
	.options = OPTION_HELP | OPTION_OUTPUT | OPTIONS_KERNEL,
	.run = run,
};
