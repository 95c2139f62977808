/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <signal.h>
#include <stddef.h>

#include "interrupt.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct {
	int number;
	const char *name;
} caught[] = { { SIGINT, "SIGINT" }, { SIGTERM, "SIGTERM" }, { SIGHUP, "SIGHUP" } };

/* Signals belong to the process: a handler can leave its word nowhere else. */
static volatile sig_atomic_t received;

static void note(int number)
{
	received = number;
}

void interrupt_catch(void)
{
	/* The next one of its kind does what it does by default. */
	struct sigaction action = { .sa_handler = note,
				    .sa_flags = (int)SA_RESETHAND | SA_RESTART };

	for (size_t i = 0; i < COUNT(caught); i++) {
		struct sigaction before;
		if (sigaction(caught[i].number, NULL, &before) == 0 && before.sa_handler != SIG_IGN)
			sigaction(caught[i].number, &action, NULL);
	}
}

const char *interrupt_name(void)
{
	int number = received;

	for (size_t i = 0; i < COUNT(caught); i++)
		if (caught[i].number == number)
			return caught[i].name;
	return NULL;
}
