/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Snapshots of the same processes, one after the other: which pages have changed since the last one, by
 * their digests. Only these are stored (format/series_format.h).
 */
#ifndef SNAPSHOT_SERIES_H
#define SNAPSHOT_SERIES_H

#include "base/bytes.h"
#include "snapshot/process.h"
#include "snapshot/layout.h"

struct process_memory;

/* That a snapshot has cleared the soft-dirty bits of a process. Errors: NO_MEMORY. */
enum kioku_status series_note_cleared(struct kioku_series *series, const struct process *process,
				      struct kioku_error *error);
bool series_has_cleared(const struct kioku_series *series, const struct process *process);

/*
 * The next moment of a process: takes from the layout what has not changed, which counts as EXCLUDED
 * then, and what cannot be read, which is UNREADABLE. *note: the description of the note that says so,
 * for the caller to free. memory: of the layout. Errors: NO_MEMORY, UNSUPPORTED.
 */
enum kioku_status series_reduce(struct kioku_series *series, const struct process *process,
				const struct process_memory *memory, struct layout *layout,
				const char *description, uint8_t **note, size_t *note_size,
				struct kioku_error *error);

#endif
