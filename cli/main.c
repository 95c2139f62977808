/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "message.h"
#include "session.h"

/* stdout carries the data: whatever did not arrive there is a failure. */
static int finish_stdout(int status)
{
	bool failed = ferror(stdout);

	if (fclose(stdout) != 0 || failed) {
		/* The reader of a pipe left, as head does: it knows. */
		if (errno != EPIPE)
			message_error("cannot write the output: %s", strerror(errno));
		return STATUS_FAILED;
	}
	return status;
}

static int run(struct session *session, int argc, char **argv)
{
	int status = options_parse(&session->options, session->command, argc, argv);

	if (status == STATUS_COMPLETE && session->options.given & OPTION_HELP)
		help_print_command(stdout, session->command);
	else if (status == STATUS_COMPLETE)
		status = session->command->run(session);
	return status == STATUS_COMPLETE && message_any_gap() ? STATUS_GAPS : status;
}

/*
 * Where stdin, stdout or stderr is closed, the next file that is opened would take its place, and
 * messages would be written into an image. What is put there instead cannot be used, either.
 */
static void occupy_standard_files(void)
{
	for (int number = STDIN_FILENO; number <= STDERR_FILENO; number++)
		if (fcntl(number, F_GETFD) < 0)
			(void)!open("/dev/null", number == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

int main(int argc, char **argv)
{
	struct command command;
	struct session session = { .command = &command };
	int status = STATUS_COMPLETE;

	occupy_standard_files();
	clock_gettime(CLOCK_MONOTONIC, &session.started);
	setlocale(LC_CTYPE, "");
	setenv("TZ", "UTC0", 1); /* all times are UTC: no zone is read from a disk */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* a file that grew to its limit is an error like a full disk */
	if (argc < 2) {
		help_print_overview(stderr);
		return STATUS_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
		help_print_overview(stdout);
	else if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0)
		puts("kioku " KIOKU_VERSION);
	else if (!command_find(argv[1], &command))
		status = message_usage("no such command: %s; see kioku help", argv[1]);
	else
		status = run(&session, argc - 1, argv + 1);
	status = finish_stdout(status);
	message_flush();
	session_close(&session);
	return status;
}
