/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "amount.h"

const char *amount_text(double bytes, char *out, size_t size)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
	size_t unit = 0;

	while (bytes >= 1024 && unit + 1 < sizeof(units) / sizeof(units[0])) {
		bytes /= 1024;
		unit++;
	}
	snprintf(out, size, bytes < 10 && unit > 0 ? "%.1f %s" : "%.0f %s", bytes, units[unit]);
	return out;
}

const char *duration_text(double seconds, char *out, size_t size)
{
	uint64_t whole = (uint64_t)(seconds + 0.5);

	if (whole >= 3600)
		snprintf(out, size, "%" PRIu64 ":%02u:%02u", whole / 3600,
			 (unsigned)(whole / 60 % 60), (unsigned)(whole % 60));
	else
		snprintf(out, size, "%u:%02u", (unsigned)(whole / 60), (unsigned)(whole % 60));
	return out;
}

double clock_now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}
