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

/* To a file of the kernel; one that it does not have is no reason to stop. */
static int tell(const char *path, const char *text)
{
	int file = open(path, O_WRONLY | O_CLOEXEC);
	int good = file >= 0 && write(file, text, strlen(text)) > 0;

	if (file >= 0)
		close(file);
	return good;
}

static int is_merged(void)
{
	FILE *file = fopen("/sys/kernel/mm/ksm/pages_sharing", "r");
	int pages = 0;

	if (file) {
		(void)!fscanf(file, "%d", &pages);
		fclose(file);
	}
	return pages >= 4;
}

/* Two areas of one content, which the kernel puts on the same pages. */
static void hold_twins(void)
{
	const size_t size = 16 << 10;

	for (int i = 0; i < 2; i++) {
		char *twin = map(size, MAP_PRIVATE | MAP_ANONYMOUS, -1);
		fill(twin, size, "twin");
		madvise(twin, size, MADV_MERGEABLE);
		report("twin", twin, size, PROT_READ | PROT_WRITE, 1);
	}
	if (!tell("/sys/kernel/mm/ksm/run", "1"))
		return;
	tell("/sys/kernel/mm/ksm/pages_to_scan", "1000");
	for (int i = 0; i < 200 && !is_merged(); i++)
		usleep(20000);
	tell("/sys/kernel/mm/ksm/run", "0"); /* what is merged stays so */
}

static void hold_huge_file(void)
{
	tell("/proc/sys/vm/nr_hugepages", "1");
	char *huge = mmap(NULL, HUGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
	if (huge == MAP_FAILED)
		return;
	fill(huge, HUGE, "hugetlb");
	report("hugetlb", huge, HUGE, PROT_READ | PROT_WRITE, 1);
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

	hold_twins();
	hold_huge_file();
	/* Nothing counts as written to any more, but for a part of what is written once more. */
	if (tell("/proc/self/clear_refs", "4"))
		fill(heap, 64 << 10, "heap");
}
