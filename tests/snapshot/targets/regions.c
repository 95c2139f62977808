// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Memory of every kind, above all such as a clone does not share. Each word of each region holds its
 * own address, so that whoever reads an image knows what must be there.
 */
#include "target.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MOST        64
#define SIZE        (1UL << 17) /* so that all of it that a clone lacks is copied in the stop */
#define HUGE        (2UL << 20)
#define SPARSE      (8UL << 30)
#define SPARSE_STEP (1UL << 29)
#define GUARD       (SIZE / 2) /* where in a region */

#ifndef MADV_GUARD_INSTALL /* Linux 6.13 */
#define MADV_GUARD_INSTALL 102
#endif

static struct {
	const char *name;
	uint64_t *memory;
	size_t size;
	bool unreadable; /* for this process */
} regions[MOST];
static unsigned region_count;
static unsigned long plain; /* without what gcore writes all of, or loses */
char *heap_text;            /* for a debugger to find */

/* Each word is its own address. */
static void fill(uint64_t *memory, size_t size)
{
	for (size_t i = 0; i < size / sizeof(*memory); i++)
		memory[i] = (uint64_t)&memory[i];
}

static bool holds(const uint64_t *memory, size_t size)
{
	for (size_t i = 0; i < size / sizeof(*memory); i++) {
		if (memory[i] != (uint64_t)&memory[i])
			return false;
	}
	return true;
}

static void add(const char *name, void *memory, size_t size)
{
	regions[region_count].name = name;
	regions[region_count].memory = memory;
	regions[region_count++].size = size;
}

static void *map(size_t size, int flags, int fd)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, fd, 0);

	if (memory == MAP_FAILED)
		target_die("mmap");
	return memory;
}

static void add_advised(const char *name, size_t size, int advice)
{
	uint64_t *memory = map(size, MAP_PRIVATE | MAP_ANONYMOUS, -1);

	/* Filled first: what is advised against later must have been there before. */
	fill(memory, size);
	if (advice == -1 || madvise(memory, size, advice) == 0)
		add(name, memory, size);
}

static void add_protected(const char *name, int protection)
{
	uint64_t *memory = target_map(SIZE);

	fill(memory, SIZE);
	mprotect(memory, SIZE, protection);
	add(name, memory, SIZE);
	regions[region_count - 1].unreadable = (protection & PROT_READ) == 0;
}

static void add_shared(void)
{
	int fd = memfd_create("kioku-target", MFD_CLOEXEC);

	add("shared", map(SIZE, MAP_SHARED | MAP_ANONYMOUS, -1), SIZE);
	fill(regions[region_count - 1].memory, SIZE);
	if (fd < 0 || ftruncate(fd, SIZE) != 0)
		target_die("memfd");
	add("memfd", map(SIZE, MAP_SHARED, fd), SIZE);
	fill(regions[region_count - 1].memory, SIZE);
}

/* A file of which one page in the middle was written: the others are the file's. */
static void add_file(void)
{
	char name[] = "/tmp/kioku-target-XXXXXX", page[PAGE];
	int fd = mkstemp(name);
	char *memory;

	if (fd < 0)
		target_die(name);
	unlink(name);
	memset(page, 0x5a, sizeof(page));
	for (int i = 0; i < 3; i++) {
		if (write(fd, page, sizeof(page)) != sizeof(page))
			target_die(name);
	}
	memory = map(3 * PAGE, MAP_PRIVATE, fd);
	fill((uint64_t *)(memory + PAGE), PAGE);
	mprotect(memory, 3 * PAGE, PROT_READ); /* as .data.rel.ro is */
	add("file", memory + PAGE, PAGE);
}

/* Many gigabytes of which 16 pages were ever written. */
static void add_sparse(void)
{
	char *memory =
		mmap(NULL, SPARSE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (memory == MAP_FAILED)
		target_die("mmap");
	mprotect(memory, SPARSE / 2, PROT_READ | PROT_WRITE);
	madvise(memory, SPARSE, MADV_NOHUGEPAGE);
	for (size_t offset = 0; offset < SPARSE / 2; offset += SPARSE_STEP) {
		fill((uint64_t *)(memory + offset), PAGE);
		add("sparse", memory + offset, PAGE);
	}
}

/* Guard pages fault although the mapping can be read. */
static void add_guarded(void)
{
	char *memory = target_map(SIZE);

	fill((uint64_t *)memory, SIZE);
	if (madvise(memory + GUARD, PAGE, MADV_GUARD_INSTALL) != 0)
		return;
	add("before-guard", memory, GUARD);
	add("after-guard", memory + GUARD + PAGE, SIZE - GUARD - PAGE);
}

static void add_huge(void)
{
	void *memory = mmap(NULL, HUGE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);

	if (memory == MAP_FAILED)
		return;
	fill(memory, HUGE);
	add("hugetlb", memory, HUGE);
}

static void add_all(void)
{
	add_advised("private", SIZE, -1);
	add_advised("dontfork", SIZE, MADV_DONTFORK);
	add_advised("wipeonfork", SIZE, MADV_WIPEONFORK);
	add_advised("dontdump", SIZE, MADV_DONTDUMP);
	add_advised("locked", SIZE, -1);
	mlock(regions[region_count - 1].memory, SIZE);
	add_advised("thp", 2 * HUGE, MADV_HUGEPAGE);
	add_protected("readonly", PROT_READ);
	add_protected("none", PROT_NONE);
	add_shared();
	add_file();
	if (!plain) {
		add_sparse();
		add_guarded();
	}
	add_huge();
}

int main(int argc, char **argv)
{
	char line[MOST * 64];
	size_t size = 0;

	const struct target_option options[] = { { "plain", &plain }, { NULL, NULL } };

	target_begin(argc, argv, options);
	heap_text = strdup("kept on the heap");
	add_all();
	for (unsigned i = 0; i < region_count; i++)
		size += (size_t)snprintf(line + size, sizeof(line) - size, "%s=%#lx+%#zx ",
					 regions[i].name, (unsigned long)regions[i].memory,
					 regions[i].size);
	target_ready("%s", line);
	while (target_goes_on())
		target_sleep(10 * MILLISECOND);
	for (unsigned i = 0; i < region_count; i++) {
		if (regions[i].unreadable)
			mprotect(regions[i].memory, regions[i].size, PROT_READ);
		if (!holds(regions[i].memory, regions[i].size))
			target_fault("%s has changed", regions[i].name);
	}
	target_count("regions", region_count);
	return target_end();
}
