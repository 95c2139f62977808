/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * More timestamps than a history has, behind one line that is of a history: bash's own structure, of a line, its
 * timestamp and data.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STAMPS ((1 << 20) + 1000)
#define SIZE   12

struct entry {
	char *line, *stamp;
	void *data;
};

static struct entry **volatile history; /* nothing of it is optimised away */

int main(void)
{
	char *stamps = malloc((size_t)STAMPS * SIZE);
	struct entry *entry = malloc(sizeof(*entry));
	struct entry **list = malloc(2 * sizeof(*list));

	if (!stamps || !entry || !list)
		return 1;
	for (size_t i = 0; i < STAMPS; i++)
		snprintf(stamps + SIZE * i, SIZE, "#%010zu", 1700000000 + i);
	*entry = (struct entry){ strdup("hidden among stamps"), stamps, NULL };
	list[0] = entry;
	list[1] = NULL;
	history = list;
	puts("ready");
	fclose(stdout);
	for (;;)
		pause();
}
