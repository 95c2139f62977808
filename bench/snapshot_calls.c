// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * usage: snapshot_calls METHOD PID hold COUNT HOLD PAUSE
 *        snapshot_calls METHOD PID read ADDRESS SIZE
 * The library's calls alone, with times in nanoseconds (monotonic) as a line of JSON each.
 * hold: duplicates a process COUNT times, holds each duplicate for HOLD us, and pauses for PAUSE us.
 * What is refused has no line.
 * read: duplicates it once and reads the SIZE bytes at ADDRESS in pieces, each byte once for each
 * size of piece; the same by memcpy(), and while it is stopped by /proc/PID/mem and PTRACE_PEEKDATA.
 */
#include <kioku/kioku.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const size_t pieces[] = { 1 << 10, 64 << 10, 256 << 10 };
enum { PIECES = sizeof(pieces) / sizeof(pieces[0]), MOST = 256 << 10, PEEKED = 2 << 20 };

struct reader {
	const char *name;
	bool (*read)(void *context, uint64_t address, void *buffer, size_t size);
	void *context;
};

static long now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000000L + time.tv_nsec;
}

static int fail(const char *what)
{
	fprintf(stderr, "snapshot_calls: %s\n", what);
	return 1;
}

/* By name, so that nothing here knows which methods there are. */
static bool find_method(const char *name, enum kioku_snapshot_method *method)
{
	for (int i = 0; i <= KIOKU_SNAPSHOT_METHODS; i++) {
		*method = (enum kioku_snapshot_method)i;
		if (strcmp(kioku_snapshot_method_name(*method), name) == 0)
			return true;
	}
	return false;
}

static int hold(pid_t pid, const struct kioku_snapshot_options *options, char **words)
{
	useconds_t held = (useconds_t)atol(words[1]), pause = (useconds_t)atol(words[2]);
	struct kioku_error error = { 0 };

	for (long left = atol(words[0]); left > 0; left--) {
		struct kioku_process *process;
		long began = now(), made, left_alone, ended;

		if (kioku_process_duplicate(pid, options, &process, &error) != KIOKU_OK) {
			fail(error.message);
			continue;
		}
		made = now();
		usleep(held);
		left_alone = now();
		kioku_process_let_go(process);
		ended = now();
		struct kioku_process_summary summary = kioku_process_summary(process);
		kioku_process_release(process);
		printf("{\"began\":%ld,\"made\":%ld,\"let_go\":%ld,\"ended\":%ld,\"stop\":%lu,"
		       "\"reap\":%lu,\"longest\":%lu}\n",
		       began, made, left_alone, ended, (unsigned long)summary.stop,
		       (unsigned long)summary.reap,
		       (unsigned long)kioku_process_longest_stop(&summary));
		usleep(pause);
	}
	return 0;
}

static bool read_duplicate(void *context, uint64_t address, void *buffer, size_t size)
{
	struct kioku_error error = { 0 };

	return kioku_process_read(context, address, buffer, size, &error) == KIOKU_OK ||
	       fail(error.message) == 0;
}

static bool read_words(void *context, uint64_t address, void *buffer, size_t size)
{
	char *out = buffer;

	for (size_t i = 0; i < size; i += sizeof(long)) {
		long word = ptrace(PTRACE_PEEKDATA, *(pid_t *)context, address + i, NULL);
		memcpy(out + i, &word, sizeof(word));
	}
	return true;
}

static bool read_file(void *context, uint64_t address, void *buffer, size_t size)
{
	return pread(*(int *)context, buffer, size, (off_t)address) == (ssize_t)size;
}

static bool copy(void *context, uint64_t address, void *buffer, size_t size)
{
	memcpy(buffer, (char *)context + address, size);
	return true;
}

static bool time_reads(const struct reader *reader, uint64_t address, size_t size, char *buffer)
{
	for (size_t i = 0; i < PIECES; i++) {
		const char *comma = "";
		printf("{\"by\":\"%s\",\"size\":%zu,\"times\":[", reader->name, pieces[i]);
		for (size_t done = 0; done + pieces[i] <= size; done += pieces[i], comma = ",") {
			long began = now();
			if (!reader->read(reader->context, address + done, buffer, pieces[i]))
				return false;
			printf("%s%ld", comma, now() - began);
		}
		printf("]}\n");
	}
	return true;
}

static bool time_duplicate(pid_t pid, const struct kioku_snapshot_options *options,
			   uint64_t address, size_t size, char *buffer)
{
	struct kioku_error error = { 0 };
	struct reader reader = { .name = "read", .read = read_duplicate };
	struct kioku_process *process;

	if (kioku_process_duplicate(pid, options, &process, &error) != KIOKU_OK)
		return fail(error.message) == 0;
	reader.context = process;
	bool good = time_reads(&reader, address, size, buffer);
	kioku_process_release(process);
	return good;
}

static bool time_stopped(pid_t pid, uint64_t address, size_t size, char *buffer)
{
	char path[32];
	snprintf(path, sizeof(path), "/proc/%d/mem", (int)pid);
	int file = open(path, O_RDONLY | O_CLOEXEC);
	const struct reader reader = { "mem", read_file, &file };
	const struct reader peeker = { "peek", read_words, &pid };

	if (file < 0 || ptrace(PTRACE_SEIZE, pid, NULL, NULL) != 0 ||
	    ptrace(PTRACE_INTERRUPT, pid, NULL, NULL) != 0 || waitpid(pid, NULL, __WALL) != pid)
		return fail("ptrace") == 0;
	bool good = time_reads(&reader, address, size, buffer) &&
		    time_reads(&peeker, address, size < PEEKED ? size : PEEKED, buffer);
	ptrace(PTRACE_DETACH, pid, NULL, NULL);
	close(file);
	return good;
}

static char *map(size_t size)
{
	char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		return NULL;
	/* Pages as small as the target's, and there already. */
	madvise(memory, size, MADV_NOHUGEPAGE);
	return memset(memory, 1, size);
}

static int read_all(pid_t pid, const struct kioku_snapshot_options *options, char **words)
{
	uint64_t address = strtoull(words[0], NULL, 0);
	size_t size = strtoull(words[1], NULL, 0);
	char *buffer = map(MOST), *memory = map(size);
	const struct reader copier = { "copy", copy, memory };

	if (!buffer || !memory)
		return fail("out of memory");
	return !time_reads(&copier, 0, size, buffer) ||
	       !time_duplicate(pid, options, address, size, buffer) ||
	       !time_stopped(pid, address, size, buffer);
}

int main(int argc, char **argv)
{
	struct kioku_snapshot_options options = { .size = sizeof(options) };

	if (argc >= 6 && find_method(argv[1], &options.method)) {
		setvbuf(stdout, NULL, _IOLBF, 0);
		if (strcmp(argv[3], "hold") == 0 && argc == 7)
			return hold(atoi(argv[2]), &options, argv + 4);
		if (strcmp(argv[3], "read") == 0 && argc == 6)
			return read_all(atoi(argv[2]), &options, argv + 4);
	}
	return fail("usage: METHOD PID hold COUNT HOLD PAUSE, or METHOD PID read ADDRESS SIZE"), 2;
}
