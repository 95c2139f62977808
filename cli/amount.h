/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Amounts as people read them, and the clock that rates are told by. */
#ifndef CLI_AMOUNT_H
#define CLI_AMOUNT_H

#include <stddef.h>
#include <stdint.h>

/* "1.5 GiB"; returns out. */
const char *amount_text(double bytes, char *out, size_t size);

/* "2:03:04", "3:04"; returns out. */
const char *duration_text(double seconds, char *out, size_t size);

/* Seconds of CLOCK_MONOTONIC. */
double clock_now(void);

#endif
