/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"

enum { PIPE_SIZE = 1 << 20, LOOK_EVERY = 10, MERCY = 2000 }; /* bytes; milliseconds */

extern char **environ;

/*
 * ssh makes what it is given non-blocking, and so a pipe that we share with it. Opened anew, the pipe
 * has a state of its own. -1: there is no need to, or no way.
 */
static int own_errors(void)
{
	struct stat status;

	if (fstat(STDERR_FILENO, &status) != 0 || !S_ISFIFO(status.st_mode))
		return -1;
	/* Nor does opening wait for a reader, if the pipe has none. */
	int descriptor = open("/proc/self/fd/2", O_WRONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (descriptor >= 0)
		fcntl(descriptor, F_SETFL, 0);
	return descriptor;
}

/*
 * Blocked, and not ignored: ssh sets handlers whatever was ignored, but does not unblock. What this
 * process or thread blocks and ignores on its own account is not handed on.
 */
static void set_attributes(posix_spawnattr_t *attributes, bool is_apart)
{
	sigset_t blocked, defaults;

	sigemptyset(&blocked);
	sigaddset(&blocked, SIGINT);
	sigaddset(&blocked, SIGHUP);
	sigemptyset(&defaults);
	sigaddset(&defaults, SIGPIPE);
	sigaddset(&defaults, SIGXFSZ);
	posix_spawnattr_setsigmask(attributes, &blocked);
	posix_spawnattr_setsigdefault(attributes, &defaults);
	posix_spawnattr_setflags(attributes,
				 (short)(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
					 (is_apart ? POSIX_SPAWN_SETPGROUP : 0)));
}

/* input, output, errors: what becomes 0, 1 and 2; -1: /dev/null, and for errors, ours. */
static int spawn(pid_t *pid, const char *const *words, const struct child_way *way, int input,
		 int output, int errors)
{
	char *const *environment = way->environment ? (char *const *)way->environment : environ;
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;

	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attributes);
	if (input >= 0)
		posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
	else
		posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
	if (errors >= 0)
		posix_spawn_file_actions_adddup2(&actions, errors, STDERR_FILENO);
	set_attributes(&attributes, way->is_apart);
	int failed = posix_spawnp(pid, words[0], &actions, &attributes, (char *const *)words,
				  environment);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	return failed;
}

/* The pipes' far ends belong to the child alone. */
static enum kioku_status start(struct child *child, const char *const *words,
			       const struct child_way *way, int input, int output,
			       struct kioku_error *error)
{
	AUTO_CLOSE int own = way->errors == CHILD_ERRORS_ARE_OURS ? own_errors() : -1;

	child->is_apart = way->is_apart;
	errno = spawn(&child->pid, words, way, input, output,
		      way->errors == CHILD_ERRORS_ARE_OUTPUT ? output : own);
	if (errno == 0)
		return KIOKU_OK;
	child->pid = 0;
	return error_os(error, "cannot run %s", words[0]);
}

enum kioku_status child_start(struct child *child, const char *const *words,
			      const struct child_way *way, struct kioku_error *error)
{
	AUTO_CLOSE int input_end = -1;
	AUTO_CLOSE int output_end = -1;
	int ends[2];

	*child = CHILD_NONE;
	if (pipe2(ends, O_CLOEXEC) != 0)
		return error_os(error, "cannot make a pipe");
	child->output = ends[0];
	output_end = ends[1];
	if (way->input == CHILD_READS_US) {
		if (pipe2(ends, O_CLOEXEC) != 0)
			return error_os(error, "cannot make a pipe");
		input_end = ends[0];
		child->input = ends[1];
		fcntl(child->input, F_SETPIPE_SZ, PIPE_SIZE); /* or less, if it must be */
		fcntl(child->input, F_SETFL, O_NONBLOCK);
	}
	return start(child, words, way, input_end, output_end, error);
}

static bool is_ready(int descriptor, short events, int milliseconds)
{
	struct pollfd poller = { .fd = descriptor, .events = events };

	return poll(&poller, 1, milliseconds) > 0;
}

ssize_t child_write(struct child *child, const void *data, size_t size, int milliseconds)
{
	if (!is_ready(child->input, POLLOUT, milliseconds))
		return 0;
	ssize_t part = write(child->input, data, size);
	return part < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : part;
}

ssize_t child_read(struct child *child, void *buffer, size_t size, int milliseconds)
{
	if (!is_ready(child->output, POLLIN, milliseconds))
		return -1;
	ssize_t part = read(child->output, buffer, size);
	return part < 0 && errno != EINTR ? 0 : part;
}

static void close_end(int *descriptor)
{
	cleanup_close(descriptor);
	*descriptor = -1;
}

void child_close_input(struct child *child)
{
	close_end(&child->input);
}

bool child_wait(struct child *child, int milliseconds)
{
	static const struct timespec pause = { .tv_nsec = LOOK_EVERY * 1000000 };

	for (int waited = 0; child->pid > 0; waited += LOOK_EVERY) {
		pid_t ended = waitpid(child->pid, &child->status, WNOHANG);
		if (ended != 0) /* also if somebody else has reaped it */
			child->pid = 0;
		else if (waited >= milliseconds)
			return false;
		else
			nanosleep(&pause, NULL);
	}
	return true;
}

static void signal_child(const struct child *child, int number)
{
	kill(child->is_apart ? -child->pid : child->pid, number);
}

void child_end(struct child *child, int milliseconds)
{
	close_end(&child->input);
	if (!child_wait(child, milliseconds)) {
		signal_child(child, SIGTERM);
		if (!child_wait(child, MERCY)) {
			signal_child(child, SIGKILL);
			child_wait(child, MERCY);
		}
	}
	close_end(&child->output);
}
