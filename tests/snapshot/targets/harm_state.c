// SPDX-License-Identifier: LGPL-2.1-or-later
/* What /proc says of this process, before and after. */
#include "harm.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROOM     (1 << 19)
#define ATTEMPTS 20 /* some parts have a descriptor open for a moment */

/* One line for each fact. */
struct state {
	size_t size;
	char text[ROOM];
};

static struct state before, after;
static bool state_moves;
static char file_text[ROOM];

static void add(struct state *state, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add(struct state *state, const char *format, ...)
{
	size_t room = sizeof(state->text) - state->size;
	va_list arguments;
	int size;

	va_start(arguments, format);
	size = vsnprintf(state->text + state->size, room, format, arguments);
	va_end(arguments);
	if (size > 0 && (size_t)size < room)
		state->size += (size_t)size;
}

/* The lines of a file, one by one; a static buffer, so that the heap stays as it is. */
static char *read_lines(const char *path)
{
	size_t size = 0;
	ssize_t part;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	while (fd >= 0 && (part = read(fd, file_text + size, ROOM - 1 - size)) > 0)
		size += (size_t)part;
	if (fd >= 0)
		close(fd);
	file_text[size] = '\0';
	return file_text;
}

static void add_descriptors(struct state *state)
{
	DIR *folder = opendir("/proc/self/fd");

	if (folder == NULL)
		target_die("/proc/self/fd");
	for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
		char path[300], link[200];
		ssize_t size;

		if (entry->d_name[0] == '.' || atoi(entry->d_name) == dirfd(folder))
			continue;
		snprintf(path, sizeof(path), "/proc/self/fd/%s", entry->d_name);
		size = readlink(path, link, sizeof(link));
		add(state, "descriptor %s: %.*s\n", entry->d_name, size < 0 ? 0 : (int)size, link);
	}
	closedir(folder);
}

/* Mappings with their flags: um and uw are those of a userfaultfd. The heap and the stack of the
 * main thread grow on their own. */
static void add_mappings(struct state *state)
{
	char *rest = read_lines("/proc/self/smaps"), *line;
	bool grows = false;

	while ((line = strsep(&rest, "\n")) != NULL) {
		if (strncmp(line, "VmFlags:", 8) == 0) {
			if (!grows)
				add(state, "  %s\n", line);
		} else if (strchr("0123456789abcdef", line[0]) != NULL && line[0] != '\0') {
			grows = strstr(line, "[heap]") != NULL || strstr(line, "[stack]") != NULL;
			if (!grows)
				add(state, "mapping %s\n", line);
		}
	}
}

static void add_status(struct state *state, const char *thread)
{
	static const char *const kept[] = {
		"Name:",      "Umask:",  "Tgid:",   "PPid:",   "TracerPid:",    "Uid:",
		"Gid:",       "FDSize:", "Groups:", "SigBlk:", "SigIgn:",       "SigCgt:",
		"NoNewPrivs", "Seccomp", "CapInh:", "CapPrm:", "CapEff:",       "CapBnd:",
		"CapAmb:",    "THP_ena", "CoreDum", "Cpus_al", "Mems_allowed:", "Speculation",
	};
	char path[300], *rest, *line;

	snprintf(path, sizeof(path), "/proc/self/task/%s/status", thread);
	rest = read_lines(path);
	add(state, "thread %s\n", thread);
	while ((line = strsep(&rest, "\n")) != NULL) {
		for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
			if (strncmp(line, kept[i], strlen(kept[i])) == 0)
				add(state, "  %s\n", line);
		}
	}
	/* policy and priority: fields 18, 19, 40 and 41; what a tracer raised for a moment */
	snprintf(path, sizeof(path), "/proc/self/task/%s/stat", thread);
	rest = strrchr(read_lines(path), ')');
	for (int field = 2; rest != NULL && (line = strsep(&rest, " ")) != NULL; field++) {
		if (field == 18 || field == 19 || field == 40 || field == 41)
			add(state, "  field %d: %s\n", field, line);
	}
}

static void add_threads(struct state *state)
{
	DIR *folder = opendir("/proc/self/task");

	if (folder == NULL)
		target_die("/proc/self/task");
	for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
		if (entry->d_name[0] != '.')
			add_status(state, entry->d_name);
	}
	closedir(folder);
}

static void add_file(struct state *state, const char *path)
{
	add(state, "%s: %s\n", path, read_lines(path));
}

static void take(struct state *state)
{
	state->size = 0;
	add_descriptors(state);
	if (!state_moves) {
		add_mappings(state);
		add_threads(state);
	}
	add_file(state, "/proc/self/timers");
	add_file(state, "/proc/self/oom_score_adj");
	add_file(state, "/proc/self/coredump_filter");
	add_file(state, "/proc/self/personality");
	add_file(state, "/proc/self/limits");
	add_file(state, "/proc/self/cgroup");
}

static bool same(void)
{
	return before.size == after.size && memcmp(before.text, after.text, before.size) == 0;
}

void state_take(bool moves)
{
	state_moves = moves;
	take(&before);
	for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
		target_sleep(5 * MILLISECOND);
		take(&after);
		if (same())
			return;
		before = after;
	}
}

void state_compare(void)
{
	char *one, *other, *rest = before.text, *other_rest = after.text;

	for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
		take(&after);
		if (same())
			return;
		target_sleep(20 * MILLISECOND);
	}
	/* The first line that differs is enough: those that follow may just have moved. */
	do {
		one = strsep(&rest, "\n");
		other = strsep(&other_rest, "\n");
	} while (one != NULL && other != NULL && strcmp(one, other) == 0);
	target_fault("was: %s, is: %s", one == NULL ? "" : one, other == NULL ? "" : other);
}
