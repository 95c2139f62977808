/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Functions that begin with a jump or a call out of the kernel's image. */
#ifndef CHECK_REDIRECTION_H
#define CHECK_REDIRECTION_H

#include "check/check.h"

#define REDIRECTION_SIZE 24 /* bytes of a function that are looked at */

/*
 * Where the function at an address goes on out of the kernel's image, and from which of its instructions; *to 0:
 * nowhere, as far as its beginning tells. Errors: as kernel_read().
 */
enum kioku_status redirection_find(const struct check_run *run, uint64_t function, uint64_t *from,
				   uint64_t *to);

#endif
