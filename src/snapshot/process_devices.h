/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Whether devices, or the kernel by itself, write to a process's memory past its page tables: into pages that they
 * have hold of already. No tracking of writes sees that.
 */
#ifndef SNAPSHOT_PROCESS_DEVICES_H
#define SNAPSHOT_PROCESS_DEVICES_H

#include "snapshot/process.h"

/*
 * REFUSED, with what shows it: pinned pages (VmPin: registered buffers of io_uring, RDMA), a file or disk that is
 * read by O_DIRECT, a device of vfio. Not told by anything: memory of AF_XDP. Reads two files for each open one.
 * Errors: also NOT_FOUND, OS.
 */
enum kioku_status process_devices_check(const struct process *process, struct kioku_error *error);

#endif
