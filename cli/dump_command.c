/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>
#include <stdio.h>

#include "capture_command.h"
#include "cleanup.h"
#include "message.h"
#include "place.h"

/* NAME of a process, for that of a core in a folder. */
static void name_process(int32_t pid, char *out, size_t size)
{
	snprintf(out, size, "process-%" PRId32, pid);
}

/* The process takes the place of the image for as long as it is captured. */
static int capture_process(struct session *session, struct kioku_source *process,
			   const char *destination)
{
	struct kioku_source *image = session->source;
	char name[32];

	name_process(session->options.pids[0], name, sizeof(name));
	session->source = process;
	session->process = name;
	AUTO_FREE char *place = capture_place(session, destination);
	int status = place ? capture_to(session, place) : (int)message_error("out of memory");
	session->process = NULL;
	session->source = image;
	return status;
}

static int dump(struct session *session, const char *destination)
{
	const struct options *options = &session->options;
	struct kioku_source *process = NULL;
	struct kioku_error error = { 0 };

	if (kioku_process_core_open(session->kernel, options->pids[0], options->areas,
				    options->area_count, &process, &error) != KIOKU_OK)
		return message_error("%s", error.message);
	int status = capture_process(session, process, destination);
	kioku_source_close(process);
	return status;
}

static int run(struct session *session)
{
	const struct options *options = &session->options;
	const char *destination;

	if (!(options->given & OPTION_PID))
		return message_usage("dump: which process? --pid PID");
	if (!options->output && !options->to)
		return message_usage("dump: where to? -o FILE, -o DIR/, -o - or --to DEST");
	int status = capture_begin(session, options->output, &destination);
	if (status == STATUS_COMPLETE)
		status = session_open_kernel(session);
	return status == STATUS_COMPLETE ? dump(session, destination) : status;
}

const struct command dump_command = {
	.name = "dump",
	.help = "write the memory of a process in an image as an ELF core",
	.usage = "SOURCE",
	.details = "The core has what the process's page tables map, and the registers that its "
		   "threads had when\nthey entered the kernel: gdb opens it with the program. Exit "
		   "status 3: memory or registers\nwere lost.",
	.options = OPTION_HELP | OPTIONS_KERNEL | OPTION_PID | OPTION_AREA | OPTION_IMAGE |
		   OPTION_COMPRESS | OPTION_DIGEST | OPTION_SIGN | OPTION_MANIFEST | OPTION_RATE |
		   OPTION_THREADS | OPTION_LOW_PRIORITY | OPTION_TO | OPTION_TOKEN_FILE |
		   OPTION_RETRY,
	.run = run,
};
