/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Stands in for libFuzzer: replay FOLDER [MUTATIONS [SEED]] gives the target every file of a folder
 * and, of each, so many mutations that follow from the seed alone.
 */
#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "fuzz.h"

#define FILE_LIMIT (1u << 20)

static uint64_t state;

/* xorshift64*: the same everywhere. */
static uint64_t random_below(uint64_t limit)
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return (state * 0x2545f4914f6cdd1dull >> 16) % limit;
}

/* Runs on a copy of just that size, so that a sanitizer sees a byte too many. */
static void run(const uint8_t *data, size_t size)
{
	AUTO_FREE uint8_t *copy = malloc(size ? size : 1);

	if (!copy)
		abort();
	memcpy(copy, data, size);
	LLVMFuzzerTestOneInput(copy, size);
}

/* Changes a few things in place and returns the new size, which is not larger. */
static size_t mutate(uint8_t *data, size_t size)
{
	static const uint64_t edges[] = { 0,         1,          0x7f,       0xff,
					  0xffff,    0x7fffffff, 0xffffffff, 0x7fffffffffffffff,
					  UINT64_MAX };

	for (uint64_t i = random_below(4); i < 5 && size > 0; i++) {
		size_t at = random_below(size), other = random_below(size), left = size - at;
		uint64_t edge = edges[random_below(sizeof(edges) / sizeof(*edges))];
		switch (random_below(6)) {
		case 0: data[at] ^= (uint8_t)(1u << random_below(8)); break;
		case 1: data[at] = (uint8_t)random_below(256); break;
		case 2: memcpy(data + at, &edge, left < 8 ? left : 8); break;
		case 3: memcpy(data + at, &edge, left < 4 ? left : 4); break;
		case 4:
			left = left < size - other ? left : size - other;
			memmove(data + at, data + other, left < 64 ? left : 64);
			break;
		case 5: size = random_below(4) ? size : at; break;
		}
	}
	return size;
}

static bool replay(const char *path, uint64_t mutations)
{
	AUTO_FREE uint8_t *original = malloc(FILE_LIMIT);
	AUTO_FREE uint8_t *changed = malloc(FILE_LIMIT);
	FILE *file = fopen(path, "rb");

	if (!file || !original || !changed)
		return false;
	size_t size = fread(original, 1, FILE_LIMIT, file);
	fclose(file);
	run(original, size);
	for (uint64_t i = 0; i < mutations; i++) {
		memcpy(changed, original, size);
		run(changed, mutate(changed, size));
	}
	return true;
}

static int is_file(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

int main(int count, char **arguments)
{
	struct dirent **entries;
	uint64_t mutations = count > 2 ? strtoull(arguments[2], NULL, 0) : 0;
	int failed = 0;

	if (count < 2) {
		fprintf(stderr, "usage: %s FOLDER [MUTATIONS [SEED]]\n", arguments[0]);
		return 2;
	}
	state = count > 3 ? strtoull(arguments[3], NULL, 0) : 1;
	state = state ? state : 1;
	/* Sorted: the same seed gives the same run on every file system. */
	int file_count = scandir(arguments[1], &entries, is_file, alphasort);
	for (int i = 0; i < file_count; i++) {
		char path[4096];
		snprintf(path, sizeof(path), "%s/%s", arguments[1], entries[i]->d_name);
		free(entries[i]);
		if (!replay(path, mutations)) {
			perror(path);
			failed++;
		}
	}
	if (file_count > 0)
		free(entries);
	else
		failed++;
	printf("%d files of %s, %llu mutations each\n", file_count, arguments[1],
	       (unsigned long long)mutations);
	return failed ? 1 : 0;
}
