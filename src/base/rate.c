/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/rate.h"

static const double kept = 0.1; /* seconds: who is later than that does not make up for it */

double rate_take(struct rate *rate, double now, uint64_t size)
{
	double begin = rate->next > now - kept ? rate->next : now;

	if (rate->limit == 0)
		return now;
	rate->next = begin + (double)size / (double)rate->limit;
	return begin;
}
