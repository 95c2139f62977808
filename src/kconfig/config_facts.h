/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a kernel shows of its configuration without a word of it: functions and members that only an option makes. */
#ifndef KCONFIG_CONFIG_FACTS_H
#define KCONFIG_CONFIG_FACTS_H

#include "kernel/kernel.h"

struct config_fact {
	const char *option;   /* with CONFIG_ before it */
	const char *evidence; /* "symbol __audit_syscall_exit" */
};

#define CONFIG_FACT_LIMIT 64

/* The options that are built in for certain, in a fixed order; returns how many. None by what was given by force. evidence is in the arena. */
size_t config_facts_find(const struct kioku_kernel *kernel, struct arena *arena,
			 struct config_fact out[CONFIG_FACT_LIMIT]);

#endif
