/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Entries of /proc/PID/pagemap, one for each page of the address space: Documentation/admin-guide/mm/pagemap.rst.
 * Frames are 0 for who has no CAP_SYS_ADMIN.
 */
#ifndef SNAPSHOT_PAGEMAP_ENTRY_H
#define SNAPSHOT_PAGEMAP_ENTRY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

#define ENTRY_PRESENT    (UINT64_C(1) << 63)
#define ENTRY_SWAPPED    (UINT64_C(1) << 62)
#define ENTRY_FILE       (UINT64_C(1) << 61) /* or shared memory */
#define ENTRY_GUARD      (UINT64_C(1) << 58) /* with ENTRY_SWAPPED; Linux 6.15 */
#define ENTRY_SOFT_DIRTY (UINT64_C(1) << 55)
#define ENTRY_FRAME      ((UINT64_C(1) << 55) - 1)

enum { ENTRY_PAGE = 4096 };

/*
 * Those of [start, end), whole pages, all of which there must be. Errors: NOT_FOUND (the address space is gone:
 * another program runs, or none), OS.
 */
enum kioku_status pagemap_read(int pagemap, uint64_t start, uint64_t end, uint64_t *entries,
			       struct kioku_error *error);

/* That of one page. False: there is none. */
bool pagemap_read_one(int pagemap, uint64_t page, uint64_t *entry);

#endif
