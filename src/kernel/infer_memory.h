/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the parts of inference that concern the memory of processes share. */
#ifndef KERNEL_INFER_MEMORY_H
#define KERNEL_INFER_MEMORY_H

#include "kernel/infer.h"

/* Addresses that follow each other in every mm_struct, as numbers of 8 bytes each. */
enum {
	START_CODE,
	END_CODE,
	START_DATA,
	END_DATA,
	START_BRK,
	BRK,
	START_STACK,
	ARG_START,
	ARG_END,
	ENV_START,
	ENV_END,
	BOUNDS
};

/* Mappings of all processes, from rows of mm_struct and the column that bounds begin in. */
void infer_mappings(struct inference *inference, const struct samples *maps, size_t bounds);

#endif
