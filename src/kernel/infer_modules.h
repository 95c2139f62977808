/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the parts of inference that concern modules share. */
#ifndef KERNEL_INFER_MODULES_H
#define KERNEL_INFER_MODULES_H

#include "kernel/infer.h"

enum {
	MODULE_LEAD = 64,   /* bytes before a module's node in the list that are looked at */
	MODULE_ROOM = 1536, /* and from there on */
	MODULE_COLUMNS = 16,
};

/* All modules; rows begin MODULE_LEAD bytes before the node. */
struct module_rows {
	struct samples rows;
	size_t name;                   /* columns */
	size_t start;                  /* of the module itself */
	size_t selves[MODULE_COLUMNS]; /* that lead to the module itself */
	size_t self_count;
	/* Where a module's memory is: parts, each with a base and a size. */
	size_t part, part_distance, part_count, part_size;
	size_t memory_end; /* the column after all of them */
};

static inline uint64_t module_address(const struct module_rows *modules, size_t row)
{
	return modules->rows.addresses[row] + modules->start;
}

/* Whether an address is in the memory of a row's module. */
bool module_rows_own(const struct module_rows *modules, size_t row, uint64_t address);

/* The rest of struct module, which stands on where its memory is, and on the order of its declaration. */
void infer_module_facts(struct inference *inference, struct module_rows *modules);

#endif
