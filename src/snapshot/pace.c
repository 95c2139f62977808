/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "snapshot/pace.h"

#include "snapshot/wait.h"

enum { LONG = 50000, SHORT = LONG / 4 }; /* nanoseconds */

uint64_t pace_begin(struct pace *pace, uint64_t size)
{
	pace->began = wait_now();
	return pace->piece < size ? pace->piece : size;
}

void pace_end(struct pace *pace, uint64_t done)
{
	uint64_t time = wait_now() - pace->began;

	if (time > LONG)
		pace->piece = done / 2 > pace->least ? done / 2 : pace->least;
	else if (time < SHORT && done == pace->piece && pace->piece <= UINT64_MAX / 4)
		pace->piece *= 2;
}
