/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "view/owner_cells.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum kioku_status owner_cells_open(struct owner_cells *cells, struct kioku_kernel *kernel,
				   struct kioku_error *error)
{
	enum kioku_status status = owners_open(kernel, &cells->owners, error);

	cells->is_open = true;
	cells->is_known = false;
	return status;
}

void owner_cells_release(struct owner_cells *cells)
{
	if (cells->is_open)
		owners_close(&cells->owners);
	cells->is_open = false;
}

static void look_up(struct owner_cells *cells, uint64_t page)
{
	if (cells->is_known && cells->page == page)
		return;
	cells->is_known = true;
	cells->page = page;
	owners_find(&cells->owners, page, &cells->owner);
	cells->name_status = frame_use_name(&cells->owners.frames, &cells->owner.use, &cells->name);
}

/* The process of a user, if it has one. */
static const struct owner_process *process_of(const struct owner_cells *cells,
					      const struct page_user *user)
{
	if (user->kind != PAGE_USER_PROCESS && user->kind != PAGE_USER_TABLE)
		return NULL;
	return &cells->owners.processes[user->process];
}

static void fill_first(const struct owner_cells *cells, uint64_t offset, struct kioku_cell *out)
{
	const struct page_user *user = cells->owner.users;
	const struct owner_process *process = process_of(cells, user);

	if (process) {
		out[OWNER_PID] = cell_integer(process->pid);
		out[OWNER_COMM] =
			cell_text(process->comm, strnlen(process->comm, sizeof(process->comm)));
	}
	/* A page table is no memory at an address. */
	if (user->kind != PAGE_USER_TABLE && user->kind != PAGE_USER_KERNEL_TABLE)
		out[OWNER_VIRTUAL] = cell_number(user->virtual + offset);
}

static void fill_users(struct owner_cells *cells, uint64_t offset, struct kioku_cell *out)
{
	size_t used = 0, count = 0;

	for (size_t i = 0; i < cells->owner.user_count; i++) {
		const struct page_user *user = &cells->owner.users[i];
		if (user->kind != PAGE_USER_PROCESS)
			break; /* they come first */
		if (count++ < OWNER_USERS_SHOWN)
			used += 1 + (size_t)snprintf(cells->users + used,
						     sizeof(cells->users) - used,
						     "%" PRId32 ":0x%" PRIx64,
						     process_of(cells, user)->pid,
						     user->virtual + offset);
	}
	out[OWNER_USERS] = cell_text(cells->users, used);
	out[OWNER_USER_COUNT] = cell_number(count);
}

void owner_cells_fill(struct owner_cells *cells, uint64_t physical,
		      struct kioku_cell out[OWNER_CELLS])
{
	uint64_t offset = physical % PAGE_SIZE;

	for (size_t i = 0; i < OWNER_CELLS; i++)
		out[i] = cell_absent(KIOKU_CELL_NOT_APPLICABLE);
	look_up(cells, physical - offset);
	out[OWNER_KIND] = cell_text(cells->owner.kind, strlen(cells->owner.kind));
	if (cells->owner.user_count > 0)
		fill_first(cells, offset, out);
	else if (cells->owner.virtual)
		out[OWNER_VIRTUAL] = cell_number(cells->owner.virtual + offset);
	fill_users(cells, offset, out);
	if (cells->name_status == KIOKU_OK)
		out[OWNER_NAME] = cell_text(cells->name.data, cells->name.size);
	else if (cells->name_status != KIOKU_ERROR_NOT_FOUND)
		out[OWNER_NAME] = cell_absent(presence_of(cells->name_status));
}
