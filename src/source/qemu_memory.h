/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Guest memory as QEMU itself copies it ("pmemsave"), a block at a time, into a file that has no name:
 * QEMU is handed the open file and reaches it as /proc/self/fd/N, so that nothing is left behind
 * whoever is killed, and QEMU needs no right to any folder of ours.
 */
#ifndef SOURCE_QEMU_MEMORY_H
#define SOURCE_QEMU_MEMORY_H

#include "base/cleanup.h"
#include "source/qmp_client.h"
#include "source/remote.h"

struct qemu_memory;

/*
 * client is borrowed. Errors: UNSUPPORTED (QEMU takes no files: the socket leads to another machine),
 * OS, and those of qmp_client_run().
 */
enum kioku_status qemu_memory_open(struct qmp_client *client, struct qemu_memory **out,
				   struct kioku_error *error);
void qemu_memory_close(struct qemu_memory *memory); /* takes NULL */

DEFINE_CLEANUP(qemu_memory, struct qemu_memory, qemu_memory_close)

/* As remote_driver.read_many; a problem is good as long as the memory. */
void qemu_memory_read(struct qemu_memory *memory, struct remote_read *reads, size_t count);

struct kioku_source_stats qemu_memory_stats(const struct qemu_memory *memory);

#endif
