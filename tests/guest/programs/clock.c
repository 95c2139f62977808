/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Keeps the time in a variable and never rests, as the program of the NetTLP paper does. */
#include <stdint.h>
#include <stdio.h>
#include <time.h>

static volatile int64_t now;

int main(int argc, char **argv)
{
	FILE *file = fopen(argv[argc - 1], "w");

	if (!file)
		return 1;
	now = time(NULL);
	fprintf(file, "%#lx\n", (unsigned long)&now);
	fclose(file);
	for (;;)
		now = time(NULL);
}
