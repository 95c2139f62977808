/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A stream into a function of the caller's, compressed on the way if that is asked for. */
#ifndef KERNEL_ISF_OUTPUT_H
#define KERNEL_ISF_OUTPUT_H

#include <stdio.h>

#include <kioku/isf.h>

#include "base/cleanup.h"

struct isf_output;

/* Errors: UNSUPPORTED (this build cannot compress), NO_MEMORY. */
enum kioku_status isf_output_open(bool compressed, kioku_isf_fn *function, void *user,
				  struct isf_output **out, struct kioku_error *error);

FILE *isf_output_stream(struct isf_output *output);

/* Gives the function all that is left. Errors: OS (it returned false), NO_MEMORY. */
enum kioku_status isf_output_finish(struct isf_output *output, struct kioku_error *error);

void isf_output_close(struct isf_output *output); /* NULL is fine */
DEFINE_CLEANUP(isf_output, struct isf_output, isf_output_close)
#define AUTO_ISF_OUTPUT CLEANUP(cleanup_isf_output)

#endif
