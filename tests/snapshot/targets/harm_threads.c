// SPDX-License-Identifier: LGPL-2.1-or-later
/* Threads and processes that wait for each other, come and go, and change what is mapped. */
#include "harm.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* futex: pairs of threads hand a number to and fro. A wake-up that is lost leaves both asleep. */

#define PAIRS 2

static struct {
	_Alignas(64) atomic_int turn;
	atomic_bool left; /* one of them has ended */
	unsigned long passed[2];
} pairs[PAIRS];

static void pass(unsigned pair, int own)
{
	const struct timespec limit = { 10, 0 };
	atomic_int *turn = &pairs[pair].turn;

	while (*turn != own && !pairs[pair].left) {
		long result = syscall(SYS_futex, turn, FUTEX_WAIT_PRIVATE, !own, &limit, NULL, 0);

		if (result == -1 && errno == ETIMEDOUT && !pairs[pair].left)
			target_fault("pair %u: a wake-up was lost", pair);
		else if (result == -1 && errno == EINTR && target_goes_on())
			target_fault("pair %u: EINTR", pair);
	}
	pairs[pair].passed[own]++;
	*turn = !own;
	syscall(SYS_futex, turn, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void futex_run(unsigned index)
{
	while (target_goes_on() && !pairs[index / 2].left) {
		for (int i = 0; i < 100 && !pairs[index / 2].left; i++)
			pass(index / 2, index % 2);
		target_sleep(MILLISECOND); /* two CPUs would be busy with it */
	}
	pairs[index / 2].left = true;
	pairs[index / 2].turn = !(int)(index % 2);
	syscall(SYS_futex, &pairs[index / 2].turn, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
	/* Who has lost its partner, the main thread, stays to be compared. */
	while (target_goes_on())
		target_sleep(MILLISECOND);
}

static void futex_check(void)
{
	unsigned long sum = 0;

	for (unsigned pair = 0; pair < PAIRS; pair++) {
		long ahead = (long)(pairs[pair].passed[0] - pairs[pair].passed[1]);

		sum += pairs[pair].passed[0];
		if (ahead < -2 || ahead > 2)
			target_fault("pair %u: one was %ld times ahead", pair, ahead);
	}
	target_count("passed", sum);
}

const struct harm_part harm_futex = {
	.name = "futex", .threads = 2 * PAIRS, .run = futex_run, .check = futex_check
};

/* timers: a timerfd of 1 ms has counted every millisecond, and alarm() is on time. */

#define TIMER_PERIOD MILLISECOND

static void timers_run(unsigned index)
{
	const struct itimerspec period = { { 0, TIMER_PERIOD }, { 0, TIMER_PERIOD } };
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	long began = target_now(), counted = 0, due;

	timerfd_settime(fd, 0, &period, NULL);
	while (target_goes_on()) {
		uint64_t expirations;

		if (read(fd, &expirations, sizeof(expirations)) == sizeof(expirations))
			counted += (long)expirations;
		else if (target_goes_on())
			target_fault("timerfd: %s", strerror(errno));
	}
	due = (target_now() - began) / TIMER_PERIOD;
	/* What came after the last read was not counted; nobody knows how late a thread is told. */
	if (counted > due || due - counted > 1000)
		target_fault("a timerfd counted %ld periods of %ld", counted, due);
	close(fd);
}

const struct harm_part harm_timers = { .name = "timers", .threads = 2, .run = timers_run };

/* storm: threads are started and end all the time. */

#define STORM_AT_ONCE 8

static atomic_ulong storm_ran;
static unsigned long storm_started;

static void *storm_thread(void *unused)
{
	storm_ran++;
	return NULL;
}

static void storm_run(unsigned index)
{
	pthread_t threads[STORM_AT_ONCE];

	while (target_goes_on()) {
		for (int i = 0; i < STORM_AT_ONCE; i++) {
			if (pthread_create(&threads[i], NULL, storm_thread, NULL) != 0)
				target_die("pthread_create");
			storm_started++;
		}
		for (int i = 0; i < STORM_AT_ONCE; i++)
			pthread_join(threads[i], NULL);
	}
}

static void storm_check(void)
{
	if (storm_ran != storm_started)
		target_fault("%lu threads were started, %lu ran", storm_started, storm_ran);
	target_count("threads", storm_ran);
}

const struct harm_part harm_storm = {
	.name = "storm", .threads = 1, .run = storm_run, .check = storm_check, .moves = true
};

/* children: wait() for any child gives those that were started, and SIGCHLD comes for no other. */

static atomic_ulong child_signals;
static unsigned long child_count;

static void take_child(int number)
{
	child_signals++;
}

static void children_begin(void)
{
	struct sigaction action = { .sa_handler = take_child, .sa_flags = SA_RESTART };

	sigaction(SIGCHLD, &action, NULL);
}

static void children_run(unsigned index)
{
	while (target_goes_on()) {
		pid_t child = fork(), found;
		int status = 0;

		if (child == 0) {
			target_sleep(5 * MILLISECOND);
			_exit(9);
		}
		found = waitpid(-1, &status, 0);
		if (found != child || !WIFEXITED(status) || WEXITSTATUS(status) != 9)
			target_fault("waited for %d: %d, status %#x, %s", child, found,
				     (unsigned)status, strerror(errno));
		child_count++;
	}
}

static void children_check(void)
{
	if (child_signals != child_count)
		target_fault("SIGCHLD came %lu times for %lu children", child_signals, child_count);
	target_count("children", child_count);
}

const struct harm_part harm_children = { .name = "children",
					 .threads = 1,
					 .begin = children_begin,
					 .run = children_run,
					 .check = children_check };

/* vfork: the parent is in an uninterruptible sleep until its child has ended. */

static unsigned long vforks;

static void vfork_run(unsigned index)
{
	while (target_goes_on()) {
		int status = 0;
		pid_t child = vfork();

		if (child == 0) {
			const struct timespec while_parent_sleeps = { 0, 200 * MILLISECOND };

			syscall(SYS_nanosleep, &while_parent_sleeps, NULL);
			_exit(5);
		}
		if (waitpid(child, &status, 0) != child || status != 5 << 8)
			target_fault("a child of vfork ended with %#x", (unsigned)status);
		vforks++;
	}
}

static void vfork_check(void)
{
	target_count("vforks", vforks);
}

const struct harm_part harm_vfork = {
	.name = "vfork", .threads = 1, .run = vfork_run, .check = vfork_check
};

/* maps: what is mapped changes while it is copied, and is always what was put there. */

#define MAPPED_PAGES 64

static unsigned long mappings;

static void fill(uint64_t *memory, size_t pages, uint64_t seed)
{
	for (size_t page = 0; page < pages; page++)
		memory[page * PAGE / sizeof(*memory)] = seed + page;
}

static bool holds(const uint64_t *memory, size_t pages, uint64_t seed)
{
	for (size_t page = 0; page < pages; page++) {
		if (memory[page * PAGE / sizeof(*memory)] != seed + page)
			return false;
	}
	return true;
}

static void maps_run(unsigned index)
{
	while (target_goes_on()) {
		uint64_t *memory = target_map(MAPPED_PAGES * PAGE), *moved;
		uint64_t seed = ++mappings << 20;

		fill(memory, MAPPED_PAGES, seed);
		mprotect(memory, MAPPED_PAGES / 2 * PAGE, PROT_READ);
		if (!holds(memory, MAPPED_PAGES, seed))
			target_fault("a mapping has lost what was written");
		mprotect(memory, MAPPED_PAGES * PAGE, PROT_READ | PROT_WRITE);
		moved = mremap(memory, MAPPED_PAGES * PAGE, 2 * MAPPED_PAGES * PAGE,
			       MREMAP_MAYMOVE);
		if (moved == MAP_FAILED) {
			target_fault("a mapping could not be moved: %s", strerror(errno));
			munmap(memory, MAPPED_PAGES * PAGE);
			continue;
		}
		if (!holds(moved, MAPPED_PAGES, seed))
			target_fault("a mapping that was moved has lost what was written");
		madvise(moved, PAGE, MADV_DONTNEED);
		if (moved[0] != 0)
			target_fault("a page that was dropped is there");
		munmap(moved, 2 * MAPPED_PAGES * PAGE);
	}
}

static void maps_check(void)
{
	target_count("mappings", mappings);
}

const struct harm_part harm_maps = {
	.name = "maps", .threads = 1, .run = maps_run, .check = maps_check, .moves = true
};
