/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The marker process: memory of every kind, with contents known in advance.
 *
 * /run/areas gets a line for each area: NAME ADDRESS SIZE PERMISSIONS FILLED. A filled area is
 * made of 64-byte records: "kioku-NAME-marker-0123456789 record 00000042 ......\n".
 */
#define _GNU_SOURCE
#include "activity.h"

#include <fcntl.h>
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define RECORD 64
#define HUGE   (2UL << 20)

static void fill(char *area, size_t size, const char *name)
{
	for (size_t i = 0; i < size / RECORD; i++) {
		char text[RECORD + 1];
		int length = snprintf(text, sizeof text, "kioku-%s-marker-0123456789 record %08zu ",
				      name, i);
		memset(text + length, '.', RECORD - (size_t)length);
		text[RECORD - 1] = '\n';
		memcpy(area + i * RECORD, text, RECORD);
	}
}

/* What a debugger is to find in a core of this process. */
int reported_areas;
char *text_on_heap;

static void report(const char *name, const void *area, size_t size, int protection, int filled)
{
	reported_areas++;
	record("areas", "%s %#lx %zu %c%c%c %d\n", name, (unsigned long)area, size,
	       protection & PROT_READ ? 'r' : '-', protection & PROT_WRITE ? 'w' : '-',
	       protection & PROT_EXEC ? 'x' : '-', filled);
}

static void *map(size_t size, int flags, int file)
{
	void *area = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, file, 0);
	need(area != MAP_FAILED, "mmap");
	return area;
}

/* Fill first, then take the permissions away: the contents stay. */
static void area(const char *name, size_t size, int flags, int protection)
{
	char *start = map(size, flags | MAP_ANONYMOUS, -1);
	fill(start, size, name);
	need(!mprotect(start, size, protection), "mprotect");
	report(name, start, size, protection, 1);
}

static int filled_file(const char *path, const char *name, size_t size)
{
	int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	char *text = malloc(size);

	need(file >= 0 && text, path);
	fill(text, size, name);
	need(write(file, text, size) == (ssize_t)size, path);
	free(text);
	return file;
}

void hold_memory(void)
{
	/* Else malloc() answers a request of this size with mmap(), off the heap. */
	mallopt(M_MMAP_THRESHOLD, 64 << 20);
	char *heap = malloc(1 << 20);
	need(heap != NULL, "malloc");
	fill(heap, 1 << 20, "heap");
	text_on_heap = heap;
	report("heap", heap, 1 << 20, PROT_READ | PROT_WRITE, 1);

	area("anonymous", 64 << 10, MAP_PRIVATE, PROT_READ | PROT_WRITE);
	area("readonly", 16 << 10, MAP_PRIVATE, PROT_READ);
	area("executable", 16 << 10, MAP_PRIVATE, PROT_READ | PROT_EXEC);
	area("everything", 16 << 10, MAP_PRIVATE, PROT_READ | PROT_WRITE | PROT_EXEC);
	area("shared", 64 << 10, MAP_SHARED, PROT_READ | PROT_WRITE);
	/* Present, and not accessible: the entry's present bit is off, its frame is not. */
	area("none", 16 << 10, MAP_PRIVATE, PROT_NONE);

	char *untouched = map(16 << 10, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	report("untouched", untouched, 16 << 10, PROT_READ | PROT_WRITE, 0);

	/* Read, never written: every page is the kernel's one page of zeros. */
	char *zeros = map(16 << 10, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	for (size_t i = 0; i < 16 << 10; i += 4096)
		(void)*(volatile char *)(zeros + i);
	report("zeros", zeros, 16 << 10, PROT_READ | PROT_WRITE, 0);

	int file = filled_file("/lab/mapped.txt", "file", 64 << 10);
	char *shared = map(64 << 10, MAP_SHARED, file);
	for (size_t i = 0; i < 64 << 10; i += 4096)
		(void)*(volatile char *)(shared + i);
	report("file", shared, 64 << 10, PROT_READ | PROT_WRITE, 1);

	/* A private mapping that was written to: its own pages, no longer the file's. */
	file = filled_file("/lab/copied.txt", "original", 16 << 10);
	char *copied = map(16 << 10, MAP_PRIVATE, file);
	fill(copied, 16 << 10, "copied");
	report("copied", copied, 16 << 10, PROT_READ | PROT_WRITE, 1);

	char *room = map(3 * HUGE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	char *huge = (char *)(((uintptr_t)room + HUGE - 1) & ~(HUGE - 1));
	madvise(huge, HUGE, MADV_HUGEPAGE);
	fill(huge, HUGE, "huge");
	report("huge", huge, HUGE, PROT_READ | PROT_WRITE, 1);
}
