/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Guest memory that QEMU keeps in files which others may map as well ("share=on"). */
#ifndef SOURCE_QEMU_FILES_H
#define SOURCE_QEMU_FILES_H

#include "source/driver.h"
#include "source/qemu_machine.h"
#include "source/qemu_memory.h"
#include "source/qmp_client.h"

/*
 * Maps all of a machine's RAM and adds the layout of a source, which then is a file as others are.
 * Errors: UNSUPPORTED (some of the RAM is in no such file, the message says which and why; nothing
 * has happened to the source), OS, NO_MEMORY, and those of qmp_client_run().
 */
enum kioku_status qemu_files_map(struct kioku_source *source, const struct qemu_machine *machine,
				 struct qmp_client *client, struct kioku_error *error);

/*
 * Compares some pages of what was mapped with QEMU's own copies: a path that QEMU names may lead to
 * another file here, in a container or after somebody has made it anew. Errors: REFUSED (it does),
 * UNSUPPORTED (QEMU makes no copies), ABSENT.
 */
enum kioku_status qemu_files_check(struct kioku_source *source, const struct qemu_machine *machine,
				   struct qemu_memory *memory, struct kioku_error *error);

#endif
