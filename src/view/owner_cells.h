/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Columns that say whose a physical page is. */
#ifndef VIEW_OWNER_CELLS_H
#define VIEW_OWNER_CELLS_H

#include "kernel/owners.h"
#include "view/view.h"

enum {
	OWNER_KIND,
	OWNER_PID,
	OWNER_COMM,
	OWNER_VIRTUAL,
	OWNER_NAME,
	OWNER_USERS,
	OWNER_USER_COUNT,
	OWNER_CELLS
};

/* clang-format off */
#define OWNER_COLUMN_KIND \
	{ "owner", KIOKU_KIND_TEXT, "what the kernel uses the page for: anonymous, file, slab, free, ...", 1 }
#define OWNER_COLUMN_NAME \
	{ "name", KIOKU_KIND_TEXT, "the file, inside of its file system, or the slab cache", 1 }
#define OWNER_COLUMN_USERS \
	{ "users", KIOKU_KIND_TEXTS, "processes that map it, as PID:ADDRESS; at most 64", 1 }
#define OWNER_COLUMN_USER_COUNT \
	{ "user_count", KIOKU_KIND_UNSIGNED, "how often processes map it", 1 }
/* clang-format on */

#define OWNER_USERS_SHOWN 64

struct owner_cells {
	struct owners owners;
	bool is_open, is_known; /* is_known: of page */
	uint64_t page;          /* that the rest is about */
	struct owner owner;
	struct path_text name;
	enum kioku_status name_status;
	char users[OWNER_USERS_SHOWN * 32];
};

/* To be released by owner_cells_release(), in any case. Errors: those of owners_open(). */
enum kioku_status owner_cells_open(struct owner_cells *cells, struct kioku_kernel *kernel,
				   struct kioku_error *error);
void owner_cells_release(struct owner_cells *cells);

/* For a byte at a physical address; what they point at is valid until the next call. */
void owner_cells_fill(struct owner_cells *cells, uint64_t physical,
		      struct kioku_cell out[OWNER_CELLS]);

#endif
