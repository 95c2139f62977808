// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Signals in numbers: queued ones, each with its number, timers of 200 us, and two that stay pending.
 * The thread that gets them looks at its masks and its alternate stack all the time.
 */
#include "harm.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PERIOD      (200 * MILLISECOND / 1000)
#define LATE        (5000 * MILLISECOND) /* what is lost does not come then, either */
#define OUTSTANDING 16 /* what may be queued is limited for all processes of a user */
#define QUEUED      SIGRTMIN
#define TIMED       (SIGRTMIN + 1)
#define STACK       (64 * 1024)
#define PENDING     SIGUSR2 /* raised once, and blocked for ever */
#define PENDING2    (SIGRTMIN + 2)

static pthread_t receiver;
static unsigned long sent;
static volatile unsigned long received, expired, alarms, children, disordered, off_stack;
static char *stack;
static timer_t timer;
static long timer_began;

static void note_stack(void)
{
	char here;

	if (&here < stack || &here >= stack + STACK)
		off_stack++;
}

static void take_queued(int number, siginfo_t *info, void *context)
{
	note_stack();
	if ((unsigned long)info->si_value.sival_ptr != received || info->si_code != SI_QUEUE)
		disordered++;
	received++;
}

static void take_timed(int number, siginfo_t *info, void *context)
{
	note_stack();
	expired += 1 + (unsigned long)info->si_overrun;
}

static void take_alarm(int number, siginfo_t *info, void *context)
{
	note_stack();
	alarms++;
}

static void take_child(int number, siginfo_t *info, void *context)
{
	children++;
}

static void handle(int number, void (*handler)(int, siginfo_t *, void *), int flags)
{
	struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO | flags };

	sigaction(number, &action, NULL);
}

static void own_mask(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, PENDING);
	sigaddset(set, PENDING2);
}

static void start_timers(void)
{
	const struct itimerval alarm_period = { { 0, PERIOD / 1000 }, { 0, PERIOD / 1000 } };
	const struct itimerspec period = { { 0, PERIOD }, { 0, PERIOD } };
	struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = TIMED };

	event._sigev_un._tid = gettid();
	if (timer_create(CLOCK_MONOTONIC, &event, &timer) != 0)
		target_die("timer_create");
	setitimer(ITIMER_REAL, &alarm_period, NULL);
	timer_began = target_now();
	timer_settime(timer, 0, &period, NULL);
}

static void signals_begin(void)
{
	stack_t alternate = { .ss_size = STACK };
	sigset_t set;

	receiver = pthread_self();
	stack = target_map(STACK);
	alternate.ss_sp = stack;
	sigaltstack(&alternate, NULL);
	handle(QUEUED, take_queued, SA_ONSTACK | SA_RESTART);
	handle(TIMED, take_timed, SA_ONSTACK | SA_RESTART);
	handle(SIGALRM, take_alarm, SA_ONSTACK | SA_RESTART);
	handle(SIGCHLD, take_child, 0);
	own_mask(&set);
	sigprocmask(SIG_BLOCK, &set, NULL);
	kill(getpid(), PENDING);
	pthread_kill(pthread_self(), PENDING2);
	start_timers();
}

static void check_masks(void)
{
	sigset_t set, wanted;
	stack_t now;

	own_mask(&wanted);
	sigprocmask(SIG_BLOCK, NULL, &set);
	if (memcmp(&set, &wanted, 8) != 0)
		target_fault("the mask of blocked signals is another");
	sigpending(&set);
	if (memcmp(&set, &wanted, 8) != 0)
		target_fault("other signals are pending");
	sigaltstack(NULL, &now);
	if (now.ss_sp != stack || now.ss_size != STACK || now.ss_flags != 0)
		target_fault("the alternate stack is another");
	if (waitpid(-1, NULL, WNOHANG) != -1 || errno != ECHILD)
		target_fault("an unknown child");
}

static void receive(void)
{
	struct itimerval left;

	while (target_goes_on()) {
		for (int i = 0; i < 100; i++)
			check_masks();
		/* In user space, with no call made: errno is nobody's but ours. */
		errno = 12345;
		for (volatile int i = 0; i < 200000; i++)
			;
		if (errno != 12345)
			target_fault("errno is %d", errno);
	}
	getitimer(ITIMER_REAL, &left);
	if (left.it_interval.tv_usec != PERIOD / 1000)
		target_fault("the interval timer is another");
}

static void send(void)
{
	while (target_goes_on()) {
		const union sigval value = { .sival_ptr = (void *)sent };

		if (sent - received < OUTSTANDING && pthread_sigqueue(receiver, QUEUED, value) == 0)
			sent++;
		else
			target_sleep(MILLISECOND);
	}
}

static void signals_run(unsigned index)
{
	if (index != 0) {
		send();
	} else if (pthread_equal(pthread_self(), receiver)) {
		receive();
	} else {
		errno = EINVAL;
		target_die("signals has to be the first part: its signals go to the main thread");
	}
}

static long periods_passed(void)
{
	return (target_now() - timer_began) / PERIOD;
}

/*
 * What the timer has counted is exact but for the time that setting it and reading the clock takes. A
 * machine that has no CPU for us for a while, as a guest's may, is late in counting, and catches up; that
 * may also be between two looks at the clock.
 */
static void check_timer(void)
{
	const struct itimerspec none = { 0 };
	long until = target_now() + LATE, least, counted, most;

	do {
		least = periods_passed();
		counted = (long)expired;
		most = periods_passed();
	} while (counted < least - 10 && target_now() < until);
	timer_settime(timer, 0, &none, NULL);
	/* Blocked from delivery by nobody: what is due has been handled on the way out. */
	if (counted < least - 10 || counted > most + 10)
		target_fault("%ld expirations came, not %ld to %ld", counted, least, most);
	timer_delete(timer);
}

static void signals_check(void)
{
	const struct itimerval none = { 0 };

	check_timer();
	setitimer(ITIMER_REAL, &none, NULL);
	if (received != sent || disordered != 0)
		target_fault("%lu of %lu queued signals came, %lu not in order", received, sent,
			     disordered);
	if (off_stack != 0)
		target_fault("%lu handlers ran on another stack", off_stack);
	if (children != 0)
		target_fault("SIGCHLD came %lu times", children);
	target_count("queued", received);
	target_count("expired", expired);
	target_count("alarms", alarms);
}

const struct harm_part harm_signals = {
	.name = "signals",
	.threads = 2,
	.begin = signals_begin,
	.run = signals_run,
	.check = signals_check,
};
