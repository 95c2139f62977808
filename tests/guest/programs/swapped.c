/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * swapped NAME PAGES: memory that it has the kernel swap out, private and shared (tmpfs), whose pages are told
 * by their number: then it says where, and how the kernel's pagemap has it, in /output/NAME, and sleeps.
 * swapped on PATH PRIORITY: busybox knows no priority.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/swap.h>
#include <unistd.h>

#define PAGE 4096

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif

/* The same in tests/guest/swapping.py. */
static void fill(uint8_t *page, const char *name, unsigned number)
{
	char line[64];

	memset(page, 0, PAGE);
	switch (number % 16) {
	case 0: return;                                          /* zeros */
	case 1: memset(page, (int)(number & 255), PAGE); return; /* one word again and again */
	case 2: /* nothing that a codec makes smaller */
		for (uint32_t i = 0, x = number * 2654435761u + 1; i < PAGE; i++) {
			x = x * 1664525u + 1013904223u;
			page[i] = (uint8_t)(x >> 24);
		}
		return;
	case 3: /* mostly zeros: the runs of lzo-rle */
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

static void describe(FILE *out, const char *kind, const uint8_t *area, unsigned pages)
{
	int descriptor = open("/proc/self/pagemap", O_RDONLY);

	fprintf(out, "%s %d %p %u\n", kind, getpid(), (const void *)area, pages);
	for (unsigned i = 0; i < pages; i++) {
		uint64_t entry = 0;
		uintptr_t page = (uintptr_t)area / PAGE + i;
		if (pread(descriptor, &entry, 8, (off_t)(page * 8)) != 8)
			entry = 0;
		fprintf(out, "%016llx\n", (unsigned long long)entry);
	}
	close(descriptor);
}

static uint8_t *make(const char *name, unsigned pages, int descriptor)
{
	uint8_t *area =
		mmap(NULL, (size_t)pages * PAGE, PROT_READ | PROT_WRITE,
		     descriptor < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED, descriptor, 0);

	if (area == MAP_FAILED)
		exit(2);
	madvise(area, (size_t)pages * PAGE, MADV_NOHUGEPAGE);
	for (unsigned i = 0; i < pages; i++)
		fill(area + (size_t)i * PAGE, name, i);
	return area;
}

int main(int argc, char **argv)
{
	char path[128], shared[128];

	if (argc == 4 && strcmp(argv[1], "on") == 0)
		return swapon(argv[2], SWAP_FLAG_PREFER | atoi(argv[3])) != 0;
	if (argc != 3)
		return 2;
	unsigned pages = (unsigned)atoi(argv[2]);
	snprintf(path, sizeof(path), "/output/%s", argv[1]);
	snprintf(shared, sizeof(shared), "/run/%s", argv[1]);
	int descriptor = open(shared, O_RDWR | O_CREAT, 0600);
	if (descriptor < 0 || ftruncate(descriptor, (off_t)pages / 4 * PAGE) != 0)
		return 2;
	uint8_t *own = make(argv[1], pages, -1), *common = make(argv[1], pages / 4, descriptor);
	for (int i = 0; i < 3; i++) {
		madvise(own, (size_t)pages * PAGE, MADV_PAGEOUT);
		madvise(common, (size_t)pages / 4 * PAGE, MADV_PAGEOUT);
		usleep(300000);
	}
	FILE *out = fopen(path, "w");
	if (!out)
		return 2;
	describe(out, "private", own, pages);
	describe(out, "shared", common, pages / 4);
	fclose(out);
	snprintf(path, sizeof(path), "/run/%s.ready", argv[1]);
	close(open(path, O_RDWR | O_CREAT, 0600));
	for (;;)
		pause();
}
