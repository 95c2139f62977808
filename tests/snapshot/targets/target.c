// SPDX-License-Identifier: LGPL-2.1-or-later
#include "target.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define MOST_THREADS 256
#define MOST_COUNTS  64
#define STACK        (256 * 1024) /* small, as some copiers write all of it */
#define SHOWN        20           /* faults */

static struct {
	atomic_bool asked, finished;
	long ends; /* when, by target_now(); 0: never */
	pthread_t threads[MOST_THREADS];
	unsigned thread_count;
	pthread_mutex_t lock; /* of what follows */
	unsigned fault_count, count_count;
	char faults[SHOWN][200];
	struct {
		const char *name;
		unsigned long value;
	} counts[MOST_COUNTS];
} target = { .lock = PTHREAD_MUTEX_INITIALIZER };

static __thread bool is_main;

static void ask(int number)
{
	(void)number;
	target.asked = true;
}

long target_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * SECOND + now.tv_nsec;
}

void target_sleep(long nanoseconds)
{
	long until = target_now() + nanoseconds;
	struct timespec end = { until / SECOND, until % SECOND };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &end, NULL) == EINTR)
		;
}

void *target_map(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		target_die("mmap");
	madvise(memory, size, MADV_NOHUGEPAGE);
	return memory;
}

void target_die(const char *what)
{
	fprintf(stderr, "target: %s: %s\n", what, strerror(errno));
	exit(2);
}

void target_skip(const char *what)
{
	printf("skip %s\n", what);
	exit(77);
}

static unsigned long number(const char *text)
{
	char *end;
	unsigned long value = strtoul(text, &end, 0);

	if (*text == '\0' || *end != '\0') {
		errno = EINVAL;
		target_die(text);
	}
	return value;
}

static void set_option(const char *name, const char *text, const struct target_option *options)
{
	if (text == NULL)
		target_die(name);
	if (strcmp(name, "seconds") == 0) {
		target.ends = target_now() + (long)number(text) * SECOND;
		return;
	}
	while (options != NULL && options->name != NULL && strcmp(options->name, name) != 0)
		options++;
	if (options == NULL || options->name == NULL) {
		errno = EINVAL;
		target_die(name);
	}
	*options->value = number(text);
}

void target_lead(void)
{
	struct sigaction action = { .sa_handler = ask, .sa_flags = SA_RESTART };
	sigset_t set;

	is_main = true;
	sigaction(SIGTERM, &action, NULL);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

char **target_begin(int argc, char **argv, const struct target_option *options)
{
	char **words = argv;

	target_lead();
	for (int i = 1; i < argc; i++) {
		if (strncmp(argv[i], "--", 2) == 0) {
			set_option(argv[i] + 2, argv[i + 1], options);
			i++;
		} else {
			*words++ = argv[i];
		}
	}
	*words = NULL;
	return argv;
}

bool target_goes_on(void)
{
	if (!is_main)
		return !target.finished;
	return !target.asked && (target.ends == 0 || target_now() < target.ends);
}

void target_finish(void)
{
	target.finished = true;
}

/* Signals that are not blocked: those that a thread brings upon itself would kill, and SIGCHLD, if it
 * is ignored, would not be and wake the main thread. */
static const int unblocked[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGCHLD };

void target_thread(void *(*run)(void *), void *argument)
{
	pthread_attr_t attributes;
	sigset_t set, before;

	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, STACK);
	sigfillset(&set);
	for (size_t i = 0; i < sizeof(unblocked) / sizeof(unblocked[0]); i++)
		sigdelset(&set, unblocked[i]);
	pthread_sigmask(SIG_BLOCK, &set, &before);
	if (target.thread_count == MOST_THREADS ||
	    pthread_create(&target.threads[target.thread_count], &attributes, run, argument) != 0)
		target_die("pthread_create");
	target.thread_count++;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void target_join(void)
{
	for (unsigned i = 0; i < target.thread_count; i++)
		pthread_join(target.threads[i], NULL);
}

void target_ready(const char *format, ...)
{
	va_list arguments;

	printf("ready ");
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	printf("\n");
	fflush(stdout);
}

void target_fault(const char *format, ...)
{
	va_list arguments;

	pthread_mutex_lock(&target.lock);
	if (target.fault_count < SHOWN) {
		va_start(arguments, format);
		vsnprintf(target.faults[target.fault_count], sizeof(target.faults[0]), format,
			  arguments);
		va_end(arguments);
	}
	target.fault_count++;
	pthread_mutex_unlock(&target.lock);
}

void target_count(const char *name, unsigned long value)
{
	pthread_mutex_lock(&target.lock);
	if (target.count_count < MOST_COUNTS) {
		target.counts[target.count_count].name = name;
		target.counts[target.count_count++].value = value;
	}
	pthread_mutex_unlock(&target.lock);
}

static void print_text(const char *text)
{
	putchar('"');
	for (; *text != '\0'; text++) {
		if (*text == '"' || *text == '\\' || (unsigned char)*text < ' ')
			printf("\\u%04x", (unsigned char)*text);
		else
			putchar(*text);
	}
	putchar('"');
}

int target_end(void)
{
	printf("{\"faults\": [");
	for (unsigned i = 0; i < target.fault_count && i < SHOWN; i++) {
		printf(i == 0 ? "" : ", ");
		print_text(target.faults[i]);
	}
	printf("], \"fault_count\": %u", target.fault_count);
	for (unsigned i = 0; i < target.count_count; i++)
		printf(", \"%s\": %lu", target.counts[i].name, target.counts[i].value);
	printf("}\n");
	fflush(stdout);
	return target.fault_count == 0 ? 0 : 1;
}
