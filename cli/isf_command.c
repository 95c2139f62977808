/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A symbol table for volatility3. */
#include <string.h>

#include <kioku/isf.h>

#include "cleanup.h"
#include "message.h"
#include "session.h"
#include "whole_file.h"

static bool write_bytes(void *user, const void *data, size_t size)
{
	return fwrite(data, 1, size, user) == size;
}

static bool has_suffix(const char *path, const char *suffix)
{
	size_t size = strlen(path), end = strlen(suffix);

	return size >= end && strcmp(path + size - end, suffix) == 0;
}

static int run(struct session *session)
{
	CLEANUP(whole_file_release) struct whole_file whole = { 0 };
	const char *path = session->options.output;
	struct kioku_isf_options options = { .size = sizeof(options) };
	struct kioku_error error = { 0 };

	if (!path)
		return message_usage("isf: -o FILE is missing; see kioku help isf");
	if (session_is_source(session, path))
		return message_usage("isf: \"%s\" is the image itself", path);
	options.compressed = has_suffix(path, ".xz");
	int status = session_open_kernel(session);
	if (status == STATUS_COMPLETE)
		status = whole_file_create(&whole, path);
	if (status != STATUS_COMPLETE)
		return status;
	if (kioku_kernel_export_isf(session->kernel, &options, write_bytes, whole.file, &error) !=
	    KIOKU_OK)
		return message_error("%s", error.message);
	return whole_file_finish(&whole);
}

const struct command isf_command = {
	.name = "isf",
	.help = "the kernel's types and symbols, as volatility3 reads them (ISF)",
	.usage = "SOURCE",
	.details = "-o FILE is required: compressed if it ends in .xz; - is standard output.\n"
		   "volatility3 finds it in symbols/linux of a folder that its -s names.",
	.options = OPTION_HELP | OPTION_OUTPUT | OPTIONS_KERNEL,
	.run = run,
};
