/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* bpf: programs, maps and links. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "kernel/bpf.h"
#include "kernel/clock.h"
#include "kernel/object_owners.h"
#include "kernel/task.h"
#include "type/types.h"
#include "view/view.h"

enum {
	COLUMN_KIND,
	COLUMN_ID,
	COLUMN_TYPE,
	COLUMN_NAME,
	COLUMN_TAG,
	COLUMN_LOADED,
	COLUMN_UID,
	COLUMN_PROGRAM,
	COLUMN_ATTACHED,
	COLUMN_TARGET,
	COLUMN_OWNERS,
	COLUMN_KEY_SIZE,
	COLUMN_VALUE_SIZE,
	COLUMN_ENTRIES,
	COLUMN_CODE,
	COLUMN_ADDRESS,
	COLUMNS
};

static const struct kioku_column columns[COLUMNS] = {
	[COLUMN_KIND] = { "kind", KIOKU_KIND_TEXT, "program, map or link", 0 },
	[COLUMN_ID] = { "id", KIOKU_KIND_UNSIGNED, "each kind counts for itself", 0 },
	[COLUMN_TYPE] = { "type", KIOKU_KIND_TEXT, "socket_filter, hash, cgroup ...", 0 },
	[COLUMN_NAME] = { "name", KIOKU_KIND_TEXT, "as whoever loaded it says", 0 },
	[COLUMN_TAG] = { "tag", KIOKU_KIND_TEXT, "sum over a program's instructions", 0 },
	[COLUMN_LOADED] = { "loaded", KIOKU_KIND_TIME, "when a program was, UTC", 0 },
	[COLUMN_UID] = { "uid", KIOKU_KIND_UNSIGNED, "user that loaded a program", 0 },
	[COLUMN_PROGRAM] = { "program", KIOKU_KIND_UNSIGNED, "id of a link's program", 0 },
	[COLUMN_ATTACHED] = { "attached", KIOKU_KIND_TEXT, "how a link is: cgroup_inet_ingress ...",
			      0 },
	[COLUMN_TARGET] = { "target", KIOKU_KIND_TEXT, "to which cgroup, or function", 0 },
	[COLUMN_OWNERS] = { "owners", KIOKU_KIND_TEXTS, "PID/DESCRIPTOR that lead to it", 0 },
	[COLUMN_KEY_SIZE] = { "key_size", KIOKU_KIND_SIZE, "of a map, bytes", 1 },
	[COLUMN_VALUE_SIZE] = { "value_size", KIOKU_KIND_SIZE, "of a map, bytes", 1 },
	[COLUMN_ENTRIES] = { "max_entries", KIOKU_KIND_UNSIGNED, "of a map", 1 },
	[COLUMN_CODE] = { "code", KIOKU_KIND_ADDRESS, "of a program: what is run", 1 },
	[COLUMN_ADDRESS] = { "address", KIOKU_KIND_ADDRESS, "of the bpf_prog, bpf_map or bpf_link",
			     1 },
};

static const struct record *const records[] = { &task_record, NULL };

static const struct {
	const char *name, *types, *prefix;
} kinds[BPF_KINDS] = {
	[BPF_PROGRAM] = { "program", "bpf_prog_type", "BPF_PROG_TYPE_" },
	[BPF_MAP] = { "map", "bpf_map_type", "BPF_MAP_TYPE_" },
	[BPF_LINK] = { "link", "bpf_link_type", "BPF_LINK_TYPE_" },
};

enum { NAME_ROOM = 64, TARGET_ROOM = 4096 };

struct listing {
	struct view_run *run;
	struct object_owners owners;
};

static void listing_release(struct listing *listing)
{
	object_owners_release(&listing->owners);
}

struct row {
	struct listing *listing;
	const struct bpf_object *object;
	struct kioku_cell cells[COLUMNS];
	char type[NAME_ROOM], attached[NAME_ROOM], tag[17], target[TARGET_ROOM];
	char *owners; /* to be freed */
};

/* The kernel's own name of a constant, in lower case and without what all of them begin with. */
static struct kioku_cell constant_cell(const struct row *row, const char *enumeration,
				       const char *prefix, uint32_t value, char out[NAME_ROOM])
{
	const char *name = types_enum_name(row->listing->run->kernel->types, enumeration, value);

	if (!name)
		return cell_text(out, (size_t)snprintf(out, NAME_ROOM, "%u", value));
	if (strncmp(name, prefix, strlen(prefix)) == 0)
		name += strlen(prefix);
	size_t size = 0;
	for (; name[size] && size < NAME_ROOM; size++)
		out[size] = (char)tolower((unsigned char)name[size]);
	return cell_text(out, size);
}

static struct kioku_cell lost(const struct row *row, const char *what, enum kioku_status status)
{
	diagnose(&row->listing->run->kernel->diagnostics, KIOKU_GAP, "BPF %s %u: %s: %s",
		 kinds[row->object->kind].name, row->object->id, what, kioku_status_name(status));
	return cell_absent(presence_of(status));
}

static void fill_program(struct row *row)
{
	struct kioku_kernel *kernel = row->listing->run->kernel;
	const struct bpf_object *program = row->object;
	struct kioku_cell *cells = row->cells;
	size_t size;
	int64_t utc;
	uint32_t uid;

	for (size_t i = 0; i < sizeof(program->tag); i++)
		snprintf(row->tag + 2 * i, 3, "%02x", program->tag[i]);
	cells[COLUMN_TAG] = cell_string(row->tag);
	cells[COLUMN_LOADED] = clock_from_boot(kernel, program->loaded, &utc)
				       ? cell_integer(utc)
				       : cell_absent(KIOKU_CELL_UNREADABLE);
	cells[COLUMN_CODE] = cell_number(program->code);
	if (program->user) {
		enum kioku_status status = user_read_id(kernel, program->user, &uid);
		cells[COLUMN_UID] =
			status == KIOKU_OK ? cell_number(uid) : lost(row, "its user", status);
	}
	if (program->function_name) {
		enum kioku_status status = kernel_read_string(
			kernel, program->function_name, row->target, sizeof(row->target), &size);
		cells[COLUMN_TARGET] = status == KIOKU_OK ? cell_text(row->target, size)
							  : lost(row, "its function", status);
	}
}

static void fill_link(struct row *row)
{
	struct kioku_kernel *kernel = row->listing->run->kernel;
	const struct bpf_object *link = row->object;
	struct kioku_cell *cells = row->cells;
	uint32_t id;

	if (link->program) {
		enum kioku_status status = bpf_program_id(kernel, link->program, &id);
		cells[COLUMN_PROGRAM] =
			status == KIOKU_OK ? cell_number(id) : lost(row, "its program", status);
	}
	cells[COLUMN_ATTACHED] = link->has_attach_type
					 ? constant_cell(row, "bpf_attach_type", "BPF_",
							 link->attach_type, row->attached)
					 : cell_absent(KIOKU_CELL_UNSUPPORTED);
	enum kioku_status status = bpf_link_target(kernel, link, row->target, sizeof(row->target));
	if (status == KIOKU_OK)
		cells[COLUMN_TARGET] = cell_string(row->target);
	else if (status != KIOKU_ERROR_NOT_FOUND)
		cells[COLUMN_TARGET] = lost(row, "its cgroup", status);
}

static void fill_map(struct row *row)
{
	row->cells[COLUMN_KEY_SIZE] = cell_number(row->object->key_size);
	row->cells[COLUMN_VALUE_SIZE] = cell_number(row->object->value_size);
	row->cells[COLUMN_ENTRIES] = cell_number(row->object->entries);
}

static enum kioku_status list_owners(void *user, FILE *stream)
{
	const struct row *row = user;
	size_t count;
	const struct object_owner *owners =
		object_owners_of(&row->listing->owners, row->object->address, &count);

	for (size_t i = 0; i < count; i++)
		fprintf(stream, "%d/%u%c", owners[i].pid, owners[i].descriptor, 0);
	return count ? KIOKU_OK : KIOKU_ERROR_NOT_FOUND;
}

static enum kioku_status give_object(void *user, const struct bpf_object *object)
{
	struct row row = { .listing = user, .object = object };
	struct view_run *run = row.listing->run;

	for (size_t i = 0; i < COLUMNS; i++)
		row.cells[i] = cell_absent(KIOKU_CELL_NOT_APPLICABLE);
	row.cells[COLUMN_KIND] = cell_string(kinds[object->kind].name);
	row.cells[COLUMN_ID] = cell_number(object->id);
	row.cells[COLUMN_TYPE] = constant_cell(&row, kinds[object->kind].types,
					       kinds[object->kind].prefix, object->type, row.type);
	row.cells[COLUMN_NAME] =
		cell_text_if_any(object->name, strnlen(object->name, sizeof(object->name)));
	row.cells[COLUMN_ADDRESS] = cell_number(object->address);
	switch (object->kind) {
	case BPF_PROGRAM: fill_program(&row); break;
	case BPF_MAP: fill_map(&row); break;
	default: fill_link(&row); break;
	}
	enum kioku_status status =
		view_make_texts(list_owners, &row, &row.owners, &row.cells[COLUMN_OWNERS]);
	if (status == KIOKU_OK || status == KIOKU_ERROR_NOT_FOUND)
		status = view_row(run, row.cells);
	free(row.owners);
	return status;
}

static enum kioku_status run_bpf(struct view_run *run, struct kioku_error *error)
{
	CLEANUP(listing_release) struct listing listing = { .run = run };

	if (view_wants_column(run, COLUMN_OWNERS))
		TRY(object_owners_read(run->kernel, bpf_object_of_file, &listing.owners, error));
	for (enum bpf_kind kind = 0; kind < BPF_KINDS; kind++) {
		enum kioku_status status =
			bpf_each(run->kernel, kind, give_object, &listing, error);
		/* Links came later than programs, and those than a kernel without BPF. */
		if (status == KIOKU_ERROR_UNSUPPORTED && kind == BPF_LINK)
			return KIOKU_OK;
		TRY(status);
	}
	return KIOKU_OK;
}

const struct kioku_view bpf_view = {
	.name = "bpf",
	.help = "BPF programs, maps and links",
	VIEW_COLUMNS(columns),
	.needs_symbols = true,
	.needs_tasks = true,
	.records = records,
	.run = run_bpf,
};
