/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A fork storm: processes that come and go as fast as they can, some with children, names and users of
 * their own. What is left on its ids when nobody looks is the storm's; nothing else in the guest is.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { AT_ONCE = 12, USER = 4711 };

static void live(unsigned number)
{
	prctl(PR_SET_NAME, "storm");
	if (number % 3 == 0 && (setgid(USER) != 0 || setuid(USER) != 0))
		_exit(1);
	if (number % 4 == 0) {
		pid_t child = fork();
		if (child == 0)
			_exit(0);
		if (number % 8 == 0)
			waitpid(child, NULL, 0);
	}
	for (volatile unsigned i = 0; i < number % 7 * 3000; i++)
		;
	_exit(0);
}

int main(void)
{
	prctl(PR_SET_NAME, "storm");
	for (unsigned number = 0, alive = 0;; number++) {
		pid_t child = fork();
		if (child == 0)
			live(number);
		alive += child > 0;
		while (alive >= AT_ONCE || (alive > 0 && child < 0)) {
			if (wait(NULL) > 0)
				alive--;
			else
				alive = 0;
		}
	}
}
