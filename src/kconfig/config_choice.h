/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which of several configurations is the running kernel's. */
#ifndef KCONFIG_CONFIG_CHOICE_H
#define KCONFIG_CONFIG_CHOICE_H

#include "kconfig/config_facts.h"
#include "kconfig/config_text.h"

enum config_match {
	CONFIG_DIFFERS, /* it says itself that it is another kernel's */
	CONFIG_SILENT,  /* nothing tells, or there is nothing to compare with */
	CONFIG_MATCHES, /* its version, name or salt are the kernel's */
};

/* By the kernel's banner; one that was not found has none. */
enum config_match config_match(const struct kioku_kernel *kernel, const struct config_text *text);

/* How many facts a text contradicts. It must be sorted. */
size_t config_contradictions(const struct config_text *text, const struct config_fact *facts,
			     size_t fact_count);

/*
 * Orders texts, the best one first: the kernel's own copy, then by match, contradictions, whether they are whole, where
 * they are from, and how many options they have. All must be sorted.
 */
void config_rank(const struct kioku_kernel *kernel, struct config_texts *texts,
		 const struct config_fact *facts, size_t fact_count);

#endif
