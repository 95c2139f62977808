/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * swapped NAME: memory and tmpfs files (in /NAME) for the kernel to swap out. What a page holds is told by NAME
 * and its number. It says in /output/NAME where what is, and sleeps. On SIGUSR1 all of it becomes that of NAME-later.
 * swapped on PATH PRIORITY: swapon(8), because busybox knows no priority.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <unistd.h>

enum {
	PAGE = 4096,
	HUGE = 512 * PAGE,
	OWN_PAGES = 1024,
	HUGE_PAGES = 1024,
	NOISE_PAGES = 64,
	FILE_PAGES = 1024,
	SPARSE_STEP = 997, /* pages from one that is there to the next */
	SPARSE_COUNT = 8,
	SMALL_FILES = 60,
};

/* The same two in tests/guest/swapping.py. Nothing that a codec makes smaller: */
static void fill_noise(uint8_t *page, const char *name, unsigned number)
{
	uint32_t x = number * 2654435761u + (uint8_t)name[strlen(name) - 1];

	for (unsigned i = 0; i < PAGE; i++) {
		x = x * 1664525u + 1013904223u;
		page[i] = (uint8_t)(x >> 24);
	}
}

static void fill(uint8_t *page, const char *name, unsigned number)
{
	char line[64];

	memset(page, 0, PAGE);
	switch (number % 16) {
	case 0: return;                                          /* zeros */
	case 1: memset(page, (int)(number & 255), PAGE); return; /* one word again and again */
	case 2: /* mostly zeros: the runs of lzo-rle */
		snprintf(line, sizeof(line), "kioku %s sparse %08u", name, number);
		memcpy(page + (number * 37) % 3000, line, strlen(line));
		memcpy(page + 3500, line, strlen(line));
		return;
	default:
		for (unsigned i = 0; i < PAGE / 64; i++) {
			snprintf(line, sizeof(line), "kioku %s page %08u line %02u %08x", name,
				 number, i, number * 2654435761u + i * 40503u);
			memcpy(page + 64 * i, line, strlen(line));
		}
	}
}

static uint8_t *map(unsigned pages, int advice)
{
	size_t size = (size_t)pages * PAGE;
	uint8_t *area =
		mmap(NULL, size + HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (area == MAP_FAILED)
		exit(2);
	area += HUGE - (uintptr_t)area % HUGE;
	madvise(area, size, advice);
	return area;
}

struct areas {
	uint8_t *own, *huge, *noise;
};

static void fill_areas(const struct areas *areas, const char *name)
{
	for (unsigned i = 0; i < OWN_PAGES; i++)
		fill(areas->own + (size_t)i * PAGE, name, i);
	for (unsigned i = 0; i < HUGE_PAGES; i++)
		fill(areas->huge + (size_t)i * PAGE, name, i);
	for (unsigned i = 0; i < NOISE_PAGES; i++)
		fill_noise(areas->noise + (size_t)i * PAGE, name, i);
}

/* --- files */

static int create(const char *folder, const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	int descriptor = open(path, O_RDWR | O_CREAT, 0640);
	if (descriptor < 0)
		exit(2);
	return descriptor;
}

static void put(int descriptor, const char *name, unsigned number, unsigned index, size_t size)
{
	static uint8_t page[PAGE];

	fill(page, name, number);
	if (pwrite(descriptor, page, size, (off_t)index * PAGE) != (ssize_t)size)
		exit(2);
}

static void write_files(const char *folder, const char *name)
{
	char text[80];
	int descriptor = create(folder, "pages");

	for (unsigned i = 0; i < FILE_PAGES; i++)
		put(descriptor, name, i, i, PAGE);
	close(descriptor);
	descriptor = create(folder, "sparse");
	for (unsigned i = 0; i < SPARSE_COUNT; i++)
		put(descriptor, name, i + 2, i * SPARSE_STEP, PAGE);
	close(descriptor);
	snprintf(text, sizeof(text), "%s/small", folder);
	mkdir(text, 0700);
	for (unsigned i = 0; i < SMALL_FILES; i++) {
		snprintf(text, sizeof(text), "small/%02u", i);
		descriptor = create(folder, text);
		put(descriptor, name, i + 4, 0, i * 69 + 1);
		close(descriptor);
	}
}

static void ignore(int signal)
{
	(void)signal;
}

static void hold(const struct areas *areas, const char *folder, const char *name)
{
	char path[128];

	fill_areas(areas, name);
	write_files(folder, name);
	snprintf(path, sizeof(path), "/output/%s", name);
	FILE *out = fopen(path, "w");
	if (!out)
		exit(2);
	fprintf(out, "%d %p %u %p %u %p %u\n", getpid(), (void *)areas->own, OWN_PAGES,
		(void *)areas->huge, HUGE_PAGES, (void *)areas->noise, NOISE_PAGES);
	fclose(out);
}

int main(int argc, char **argv)
{
	char folder[64], later[64];

	if (argc == 4 && strcmp(argv[1], "on") == 0)
		return swapon(argv[2], SWAP_FLAG_PREFER | atoi(argv[3])) != 0;
	if (argc != 2)
		return 2;
	signal(SIGUSR1, ignore);
	snprintf(folder, sizeof(folder), "/%s", argv[1]);
	snprintf(later, sizeof(later), "%s-later", argv[1]);
	const struct areas areas = { map(OWN_PAGES, MADV_NOHUGEPAGE),
				     map(HUGE_PAGES, MADV_HUGEPAGE),
				     map(NOISE_PAGES, MADV_NOHUGEPAGE) };
	for (const char *name = argv[1];; name = later) {
		hold(&areas, folder, name);
		pause();
	}
}
