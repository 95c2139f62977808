/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What devices, or the kernel by itself, write to a process's memory past its page tables: into pages that they have
 * hold of already. No tracking of writes sees that; and a fork may take it from the process, see open(2), O_DIRECT.
 */
#ifndef SNAPSHOT_PROCESS_DEVICES_H
#define SNAPSHOT_PROCESS_DEVICES_H

#include "snapshot/process.h"

struct process_devices {
	uint64_t pinned; /* KiB (VmPin): registered buffers of io_uring, RDMA */
	bool has_vfio;   /* a device of its own */
	int32_t direct;  /* descriptor of a file or disk that it may read by O_DIRECT; -1: none */
	bool are_all_disks; /* all such are on disks of this machine, not on a server or of a process */
	bool has_queue; /* of AIO or io_uring, by which it may read while none of its threads waits for that */
};

/*
 * Reads two files for each that is open. mappings: its own. Not told by anything: memory of AF_XDP. Errors:
 * NOT_FOUND, OS, NO_MEMORY, LIMIT.
 */
enum kioku_status process_devices_read(const struct process *process,
				       const struct mapping_list *mappings,
				       struct process_devices *out, struct kioku_error *error);

/* REFUSED, with the reason, if anything may be written that tracking does not see. */
enum kioku_status process_devices_check(const struct process_devices *devices, pid_t pid,
					struct kioku_error *error);

#endif
