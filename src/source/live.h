/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The machine this runs on as a source: "live", or one of its drivers by name. */
#ifndef SOURCE_LIVE_H
#define SOURCE_LIVE_H

#include "source/source.h"

struct live_refusal {
	const char *driver;
	char reason
		[256]; /* "needs CAP_SYS_RAWIO", "the kernel is locked down (confidentiality)" ... */
};

#define LIVE_REFUSAL_LIMIT 4

/*
 * What is known of a live machine, all of it read when the source was opened. Of the machine that a
 * process runs on, it is only the first line.
 */
struct live_machine {
	char *host_name, *release, *version, *machine, *boot_id, *cmdline;
	char *iomem;                                      /* /proc/iomem as it was */
	struct live_refusal refusals[LIVE_REFUSAL_LIMIT]; /* of drivers that were tried before */
	size_t refusal_count;
};

/* The machine that the source is, or that a process was taken from as it ran; or NULL. */
const struct live_machine *source_machine(const struct kioku_source *source);

/* NULL if the source is not a live machine. */
const struct live_machine *source_live_machine(const struct kioku_source *source);

/* Whether /proc/iomem has other System RAM now than when the source was opened. */
bool source_iomem_changed(const struct kioku_source *source);

#endif
