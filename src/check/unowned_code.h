/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Code where modules are mapped that nothing is known to have loaded. */
#ifndef CHECK_UNOWNED_CODE_H
#define CHECK_UNOWNED_CODE_H

#include "check/module_sightings.h"

/* Not OK: the walk stops with this status. */
typedef enum kioku_status unowned_code_fn(void *user, uint64_t start, uint64_t pages);

/*
 * Executable pages of no module of sightings, in allocations that have no BPF program, no trampoline of ftrace
 * and no slots of probes. An allocation is what is mapped without a gap: vmalloc() leaves one page between them.
 * Errors: receive's, NO_MEMORY.
 */
enum kioku_status unowned_code_each(const struct module_sightings *sightings,
				    unowned_code_fn *receive, void *user);

#endif
