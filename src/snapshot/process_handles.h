/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a process has hold of that matters to how it may be copied. What devices, or the kernel by itself, write to
 * its memory past its page tables, into pages that they have hold of already, no tracking of writes sees; and a fork
 * may take that from the process, see open(2), O_DIRECT.
 */
#ifndef SNAPSHOT_PROCESS_HANDLES_H
#define SNAPSHOT_PROCESS_HANDLES_H

#include "snapshot/process.h"

struct process_handles {
	uint64_t pinned;  /* KiB (VmPin): RDMA, registered buffers of io_uring where they count */
	bool has_buffers; /* that are registered with io_uring, or it does not say */
	bool has_vfio;    /* a device of its own */
	int32_t direct;   /* descriptor of a file or disk that it may read by O_DIRECT; -1: none */
	bool are_all_disks; /* all such are on disks of this machine, not on a server or of a process */
	bool has_queue; /* AIO or io_uring: it may read while none of its threads waits for that */
	bool has_own_rings; /* an io_uring that is not mapped: in its own memory, Linux 6.5 */
	bool has_page_bits; /* pagemap or clear_refs: it may go by soft-dirty bits */
};

/*
 * Reads two files for each that is open. mappings: its own. Not told by anything: memory of AF_XDP. Errors:
 * NOT_FOUND, OS, NO_MEMORY, LIMIT.
 */
enum kioku_status process_handles_read(const struct process *process,
				       const struct mapping_list *mappings,
				       struct process_handles *out, struct kioku_error *error);

/* REFUSED, with the reason, if anything may be written that tracking does not see. */
enum kioku_status process_handles_check_writes(const struct process_handles *handles, pid_t pid,
					       struct kioku_error *error);

#endif
