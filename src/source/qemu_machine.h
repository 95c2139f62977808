/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What QEMU's monitor knows of the machine that it runs: where RAM is, and the registers of its CPUs. */
#ifndef SOURCE_QEMU_MACHINE_H
#define SOURCE_QEMU_MACHINE_H

#include "base/range_map.h"
#include "format/monitor_format.h"

/* A way to the monitor; *answer is for the caller to free. */
struct qemu_monitor {
	enum kioku_status (*ask)(void *user, const char *command, char **answer,
				 struct kioku_error *error);
	void *user;
};

struct qemu_machine {
	struct monitor_region *ram; /* ascending; the names are those of backends below */
	size_t ram_count;
	struct bytes *backends; /* names, of those that are RAM of the machine */
	size_t backend_count;
	struct kioku_cpu *cpus;
	size_t cpu_count;
	char *map, *memdev; /* the monitor's own words, which names are part of */
};

/*
 * Asks. Registers are left out if the monitor does not print them. Errors: those of ask(), UNSUPPORTED
 * (the monitor does not say where RAM is, or in a way that is not understood), NO_MEMORY.
 * qemu_machine_release() in any case.
 */
enum kioku_status qemu_machine_ask(const struct qemu_monitor *monitor, struct qemu_machine *out,
				   struct kioku_error *error);
void qemu_machine_release(struct qemu_machine *machine);

/* The backend that a region is part of: an index, less than backend_count. */
size_t qemu_machine_backend(const struct qemu_machine *machine,
			    const struct monitor_region *region);

/* All RAM. False: no memory. */
bool qemu_machine_list_ram(const struct qemu_machine *machine, struct range_map *ram);

#endif
