/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "snapshot/pace.h"

#include "snapshot/wait.h"

enum { LONG = 50000, SHORT = LONG / 4 }; /* nanoseconds */

uint64_t pace_begin(struct pace *pace, uint64_t size)
{
	pace->size = pace->piece < size ? pace->piece : size;
	pace->began = wait_now();
	return pace->size;
}

uint64_t pace_end(struct pace *pace)
{
	uint64_t time = wait_now() - pace->began;

	if (time > LONG && pace->piece / 2 >= pace->least)
		pace->piece /= 2;
	else if (time < SHORT && pace->size == pace->piece && pace->piece * 2 <= pace->most)
		pace->piece *= 2;
	return time;
}
