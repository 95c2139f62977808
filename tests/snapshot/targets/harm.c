// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * usage: harm PART... [--call N] [--pad MB] [--seconds N]
 * Does what a snapshot could harm, beside so much memory. The first part runs in the main thread, too.
 * What every part is watched for besides: signals that it was never sent, children that it never had, and
 * all that /proc/self says.
 */
#include "harm.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#define MOST_PARTS 16

static const struct harm_part *const known[] = {
	&harm_blocking, &harm_children, &harm_futex, &harm_maps,   &harm_registers,
	&harm_rseq,     &harm_signals,  &harm_storm, &harm_timers, &harm_vfork,
};

struct job {
	const struct harm_part *part;
	unsigned index;
};

static const struct harm_part *parts[MOST_PARTS];
static struct job jobs[256];
static unsigned part_count, job_count;
static unsigned long pad;
static atomic_uint at_work, strays[2];
static const int stray_numbers[2] = { SIGTRAP, SIGSEGV };

static const struct harm_part *find_part(const char *name)
{
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (strcmp(known[i]->name, name) == 0)
			return known[i];
	}
	errno = EINVAL;
	target_die(name);
}

static void take_stray(int number)
{
	strays[number == SIGSEGV]++;
	if (number == SIGSEGV) /* it would come again for ever */
		_exit(3);
}

/* A handler that never runs, and two signals that are ignored: what a forced trap would change. */
static void guard_signals(void)
{
	struct sigaction action = { .sa_handler = take_stray };

	for (int i = 0; i < 2; i++)
		sigaction(stray_numbers[i], &action, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGUSR1, SIG_IGN);
}

static void check_signals(void)
{
	struct sigaction action;

	for (int i = 0; i < 2; i++) {
		sigaction(stray_numbers[i], NULL, &action);
		if (action.sa_handler != take_stray)
			target_fault("the handler of signal %d was changed", stray_numbers[i]);
		if (strays[i] != 0)
			target_fault("signal %d came %u times", stray_numbers[i], strays[i]);
	}
	if (signal(SIGPIPE, SIG_DFL) != SIG_IGN || signal(SIGUSR1, SIG_DFL) != SIG_IGN)
		target_fault("a signal is ignored no longer");
}

static void *run(void *argument)
{
	const struct job *job = argument;

	at_work++;
	job->part->run(job->index);
	return NULL;
}

static void start_threads(void)
{
	for (unsigned i = 0; i < part_count; i++) {
		for (unsigned index = i == 0 ? 1 : 0; index < parts[i]->threads; index++) {
			jobs[job_count] = (struct job){ parts[i], index };
			target_thread(run, &jobs[job_count++]);
		}
	}
}

/* Before anything else, so that stacks are mapped next to it. */
static void fill_pad(void)
{
	if (pad != 0)
		memset(target_map(pad << 20), 1, pad << 20);
}

int main(int argc, char **argv)
{
	const struct target_option options[] = { { "call", &harm_call },
						 { "pad", &pad },
						 { NULL, NULL } };
	char **words = target_begin(argc, argv, options);
	bool moves = false;

	for (; *words != NULL && part_count < MOST_PARTS; words++) {
		parts[part_count] = find_part(*words);
		moves |= parts[part_count++]->moves;
	}
	if (part_count == 0) {
		fprintf(stderr, "usage: harm PART... [--call N] [--pad MB] [--seconds N]\n");
		return 2;
	}
	fill_pad();
	guard_signals();
	for (unsigned i = 0; i < part_count; i++) {
		if (parts[i]->begin != NULL)
			parts[i]->begin();
	}
	start_threads();
	do
		target_sleep(100 * MILLISECOND); /* stacks and arenas are there then */
	while (at_work < job_count);
	state_take(moves);
	target_ready("parts=%#x", part_count);
	parts[0]->run(0);
	state_compare();
	target_finish();
	target_join();
	for (unsigned i = 0; i < part_count; i++) {
		if (parts[i]->check != NULL)
			parts[i]->check();
	}
	check_signals();
	if (waitpid(-1, NULL, WNOHANG | __WALL) != -1 || errno != ECHILD)
		target_fault("a child that this process never had");
	return target_end();
}
