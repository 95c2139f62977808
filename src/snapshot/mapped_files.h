/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The files that a process maps, held open: their pages that the process has not written to are there
 * for as long as we want, whatever it does to its mappings meanwhile. Regular files only, those of
 * memory (memfd, System V and /dev/shm) among them; a device is not opened, only known as one.
 */
#ifndef SNAPSHOT_MAPPED_FILES_H
#define SNAPSHOT_MAPPED_FILES_H

#include "snapshot/process.h"

struct mapped_file {
	uint32_t device_major, device_minor; /* as in /proc/PID/maps */
	uint64_t inode;
	int descriptor; /* -1: it is no regular file */
	uint64_t size;  /* bytes, when it was opened; 0 if it is none */
};

/* All zero is empty. */
struct mapped_files {
	struct mapped_file *files;
	size_t count, capacity;
};

/*
 * Opens those of its mappings that are not open yet, by /proc/PID/map_files, for which CAP_SYS_ADMIN or
 * CAP_CHECKPOINT_RESTORE is needed, or by their paths. What cannot be opened is left out. Errors: those
 * of process_mappings().
 */
enum kioku_status mapped_files_open(struct mapped_files *files, struct process *process,
				    struct kioku_error *error);

/* The file of a mapping; NULL: it has none, or it could not be opened. */
const struct mapped_file *mapped_files_find(const struct mapped_files *files,
					    const struct mapping *mapping);

void mapped_files_release(struct mapped_files *files);

#endif
