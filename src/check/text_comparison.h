/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* All of the kernel's code against its own file. */
#ifndef CHECK_TEXT_COMPARISON_H
#define CHECK_TEXT_COMPARISON_H

#include "check/check.h"

/*
 * Reports every function of which code differs from run->kernel_file, or without it from the file in the page
 * cache, and is not what the kernel itself would have written there. Errors: those of kernel_file_open(),
 * NOT_FOUND (there is no such file), REFUSED (it is of another kernel), UNSUPPORTED (where the code is, or how it
 * is rewritten, is not known), NO_MEMORY, receive's.
 */
enum kioku_status text_comparison(struct check_run *run, struct kioku_error *error);

#endif
