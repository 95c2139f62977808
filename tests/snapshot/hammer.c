/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Snapshots of "victim torn" through the library, one after the other, each of which must hold.
 * usage: hammer PID ADDRESS PAGES ROUNDS; prints one line of JSON.
 */
#include <kioku/kioku.h>

#include <stdio.h>
#include <stdlib.h>

enum { PAGE = 4096 };

/* Each page has what its predecessor has, or one less, and only one step down. */
static bool is_whole(struct kioku_process *process, uint64_t address, size_t pages,
		     struct kioku_error *error)
{
	uint64_t first = 0, last = 0;

	for (size_t i = 0; i < pages; i++) {
		uint64_t value, where = address + i * PAGE + i % (PAGE / 8) * 8;
		if (kioku_process_read(process, where, &value, sizeof(value), error) != KIOKU_OK)
			return false;
		first = i == 0 ? value : first;
		if (value != first && value != first - 1)
			return false;
		if (i > 0 && value > last)
			return false;
		last = value;
	}
	return true;
}

int main(int argc, char **argv)
{
	uint64_t torn = 0, failed = 0, longest = 0;
	struct kioku_error error = { 0 };

	if (argc != 5)
		return 2;
	for (long left = atol(argv[4]); left > 0; left--) {
		struct kioku_process *process;
		if (kioku_process_duplicate(atoi(argv[1]), NULL, &process, &error) != KIOKU_OK) {
			fprintf(stderr, "%s\n", error.message);
			failed++;
			continue;
		}
		torn += !is_whole(process, strtoull(argv[2], NULL, 10), strtoul(argv[3], NULL, 10),
				  &error);
		uint64_t stop = kioku_process_summary(process).stop;
		longest = stop > longest ? stop : longest;
		kioku_process_release(process);
	}
	printf("{\"torn\":%llu,\"failed\":%llu,\"longest_stop\":%llu}\n", (unsigned long long)torn,
	       (unsigned long long)failed, (unsigned long long)longest);
	return torn || failed;
}
