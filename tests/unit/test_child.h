/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Children that tests look at. */
#ifndef TESTS_UNIT_TEST_CHILD_H
#define TESTS_UNIT_TEST_CHILD_H

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>

#include "snapshot/process_files.h"
#include "tap.h"

struct child {
	pid_t pid;
	int ready; /* what the child says can be read here */
};

/* Starts a child that runs a function and then waits to be killed: it ends with its test. */
static inline struct child start_child(void (*run)(int ready))
{
	struct child child;
	int ends[2];

	CHECK(pipe2(ends, O_CLOEXEC) == 0);
	child.pid = fork();
	CHECK(child.pid >= 0);
	if (child.pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(ends[0]);
		run(ends[1]);
		for (;;)
			pause();
	}
	close(ends[1]);
	child.ready = ends[0];
	return child;
}

static inline void end_child(struct child *child)
{
	kill(child->pid, SIGKILL);
	waitpid(child->pid, NULL, 0);
	close(child->ready);
}

static inline int32_t await(const struct child *child)
{
	int32_t number = 0;

	CHECK(read(child->ready, &number, sizeof(number)) == sizeof(number));
	return number;
}

static inline void say(int ready, int32_t number)
{
	if (write(ready, &number, sizeof(number)) != sizeof(number))
		_exit(1);
}

/* Until a process is in a state. */
static inline void await_state(pid_t pid, char state)
{
	for (unsigned i = 0; i < 60000; i++) {
		AUTO_FILE_TEXT struct file_text text = { 0 };
		struct task_stat stat;
		char path[64];
		snprintf(path, sizeof(path), "/proc/%d/stat", pid);
		CHECK_EQUAL(task_stat_read(AT_FDCWD, path, &text, &stat, NULL), KIOKU_OK);
		if (stat.state == state)
			return;
		poll(NULL, 0, 1);
	}
	CHECK(!"it got into that state");
}

#endif
