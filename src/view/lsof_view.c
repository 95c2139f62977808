/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* lsof: every descriptor of every process, also of threads that have a table of their own. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "kernel/file_table.h"
#include "kernel/socket_facts.h"
#include "view/task_cells.h"

enum {
	COLUMN_PID,
	COLUMN_TID,
	COLUMN_COMM,
	COLUMN_FD,
	COLUMN_USE,
	COLUMN_MODE,
	COLUMN_TYPE,
	COLUMN_DEVICE,
	COLUMN_SPECIAL,
	COLUMN_INODE,
	COLUMN_SIZE,
	COLUMN_POSITION,
	COLUMN_FLAGS,
	COLUMN_MOUNT_ID,
	COLUMN_FAMILY,
	COLUMN_SOCKET_TYPE,
	COLUMN_PROTOCOL,
	COLUMN_LOCAL,
	COLUMN_REMOTE,
	COLUMN_STATE,
	COLUMN_FILE,
	COLUMN_DELETED,
	COLUMN_PATH,
	COLUMNS
};

static const struct kioku_column columns[COLUMNS] = {
	[COLUMN_PID] = TASK_COLUMN_PID,
	[COLUMN_TID] = { "tid", KIOKU_KIND_INTEGER, "thread whose table this is", 0 },
	[COLUMN_COMM] = TASK_COLUMN_COMM,
	[COLUMN_FD] = { "fd", KIOKU_KIND_INTEGER, "number of the descriptor", 0 },
	[COLUMN_USE] = { "use", KIOKU_KIND_TEXT,
			 "with --all: cwd, rtd (root directory), txt (the program)", 0 },
	[COLUMN_MODE] = { "mode", KIOKU_KIND_TEXT, "r, w, or u for both", 0 },
	[COLUMN_TYPE] = { "type", KIOKU_KIND_TEXT, "REG DIR CHR BLK FIFO SOCK LNK anon", 0 },
	[COLUMN_DEVICE] = { "device", KIOKU_KIND_TEXT,
			    "major:minor of the file system, as in /proc/PID/maps", 0 },
	[COLUMN_SPECIAL] = { "special", KIOKU_KIND_TEXT, "major:minor of a device node", 1 },
	[COLUMN_INODE] = { "inode", KIOKU_KIND_UNSIGNED, "inode number", 0 },
	[COLUMN_SIZE] = { "size", KIOKU_KIND_SIZE, "of a regular file", 0 },
	[COLUMN_POSITION] = { "position", KIOKU_KIND_INTEGER, "where the next read starts", 0 },
	[COLUMN_FLAGS] = { "flags", KIOKU_KIND_TEXT, "of open(2), octal, as in fdinfo", 0 },
	[COLUMN_MOUNT_ID] = { "mount_id", KIOKU_KIND_INTEGER, "as in /proc/PID/mountinfo", 1 },
	[COLUMN_FAMILY] = { "family", KIOKU_KIND_TEXT, "of a socket: IPv4, IPv6, unix, ...", 0 },
	[COLUMN_SOCKET_TYPE] = { "socket_type", KIOKU_KIND_TEXT, "STREAM, DGRAM, RAW, ...", 1 },
	[COLUMN_PROTOCOL] = { "protocol", KIOKU_KIND_TEXT, "of a socket: TCP, UDP, ROUTE, ...", 0 },
	[COLUMN_LOCAL] = { "local", KIOKU_KIND_TEXT, "address and port, or name, of a socket", 0 },
	[COLUMN_REMOTE] = { "remote", KIOKU_KIND_TEXT, "that of the other end", 0 },
	[COLUMN_STATE] = { "state", KIOKU_KIND_TEXT, "LISTEN, ESTABLISHED, ...", 0 },
	[COLUMN_FILE] = { "file", KIOKU_KIND_ADDRESS, "address of the struct file", 1 },
	[COLUMN_DELETED] = { "deleted", KIOKU_KIND_BOOLEAN, "its name was removed", 0 },
	[COLUMN_PATH] = { "path", KIOKU_KIND_TEXT, "as /proc/PID/fd shows it", 0 },
};

static const struct record *const records[] = {
	&task_record,   &file_table_record, &file_record, &file_inode_record,
	&dentry_record, &mount_record,      NULL,
};

/* One process at a time. */
struct listing {
	struct view_run *run;
	const struct task *leader, *task;  /* whose table is listed */
	struct address_set tables, places; /* of this process, that were listed already */
	bool program_is_listed;
	struct path_text path;
};

static void listing_release(struct listing *listing)
{
	address_set_release(&listing->tables);
	address_set_release(&listing->places);
}

/* What the cells of one row are made from, and the texts that they point at. */
struct row {
	struct listing *listing;
	const struct descriptor *descriptor; /* NULL: no descriptor */
	const char *use;
	struct kioku_cell cells[COLUMNS];
	struct socket_facts socket;
	char device[24], special[24], flags[16];
};

static struct kioku_cell lost(const struct row *row, const char *what, enum kioku_status status)
{
	const struct listing *listing = row->listing;
	const struct diagnostics *diagnostics = &listing->run->kernel->diagnostics;

	if (row->descriptor)
		diagnose(diagnostics, KIOKU_GAP, "descriptor %u of task %d: %s: %s",
			 row->descriptor->number, listing->task->pid, what,
			 kioku_status_name(status));
	else
		diagnose(diagnostics, KIOKU_GAP, "%s of task %d: %s: %s", row->use,
			 listing->task->pid, what, kioku_status_name(status));
	return cell_absent(presence_of(status));
}

static struct kioku_cell device_cell(uint32_t device, char *room, size_t size)
{
	snprintf(room, size, "%02x:%02x", device_major(device), device_minor(device));
	return cell_string(room);
}

static const char *type_name(uint32_t mode, const struct path_text *path)
{
	/* Some of these have a mode with a type, which stat() hides (v6.16 on). */
	if (path->kind == NAME_ANONYMOUS || path->kind == NAME_PROCESS)
		return "anon";
	switch (mode & S_IFMT) {
	case S_IFREG: return "REG";
	case S_IFDIR: return "DIR";
	case S_IFCHR: return "CHR";
	case S_IFBLK: return "BLK";
	case S_IFIFO: return "FIFO";
	case S_IFSOCK: return "SOCK";
	case S_IFLNK: return "LNK";
	default: return "anon";
	}
}

static void inode_cells(struct row *row, uint64_t address)
{
	struct file_inode inode;
	struct kioku_cell *cells = row->cells;
	enum kioku_status status = file_inode_read(row->listing->run->kernel, address, &inode);

	if (status != KIOKU_OK) {
		cells[COLUMN_INODE] = cells[COLUMN_TYPE] = cells[COLUMN_DEVICE] =
			lost(row, "inode", status);
		return;
	}
	cells[COLUMN_INODE] = cell_number(inode.number);
	cells[COLUMN_TYPE] = cell_string(type_name(inode.mode, &row->listing->path));
	cells[COLUMN_DEVICE] = device_cell(inode.device, row->device, sizeof(row->device));
	if (S_ISCHR(inode.mode) || S_ISBLK(inode.mode))
		cells[COLUMN_SPECIAL] =
			device_cell(inode.special, row->special, sizeof(row->special));
	if (S_ISREG(inode.mode) && inode.size >= 0)
		cells[COLUMN_SIZE] = cell_number((uint64_t)inode.size);
}

static void path_cells(struct row *row, const struct path *place)
{
	struct kioku_kernel *kernel = row->listing->run->kernel;
	struct path_text *path = &row->listing->path;
	struct mount mount;
	enum kioku_status status = path_of(kernel, place, NULL, path);

	if (status != KIOKU_OK) {
		row->cells[COLUMN_PATH] = lost(row, "path", status);
		row->cells[COLUMN_DELETED] = cell_absent(presence_of(status));
	} else {
		path_mark_deleted(path);
		row->cells[COLUMN_PATH] = cell_text(path->data, path->size);
		row->cells[COLUMN_DELETED] = cell_boolean(path->deleted);
	}
	status = mount_of_vfsmount(kernel, place->mount, &mount);
	row->cells[COLUMN_MOUNT_ID] =
		status == KIOKU_OK ? cell_integer(mount.id) : cell_absent(presence_of(status));
}

static void socket_cells(struct row *row, const struct file *file)
{
	struct socket_facts *socket = &row->socket;
	struct kioku_cell *cells = row->cells;
	enum kioku_status status =
		socket_read(row->listing->run->kernel, file->private, file->address, socket);

	if (status != KIOKU_OK) {
		cells[COLUMN_FAMILY] = cells[COLUMN_PROTOCOL] = cells[COLUMN_LOCAL] =
			cells[COLUMN_REMOTE] = cells[COLUMN_STATE] = cells[COLUMN_SOCKET_TYPE] =
				lost(row, "socket", status);
		return;
	}
	if (socket->has_lost_part)
		lost(row, "an end of the socket", KIOKU_ERROR_CORRUPT);
	cells[COLUMN_FAMILY] = cell_string_if_any(socket->name);
	cells[COLUMN_SOCKET_TYPE] = cell_string_if_any(socket->type);
	cells[COLUMN_STATE] = cell_string_if_any(socket->state);
	cells[COLUMN_PROTOCOL] = cell_text_if_any(socket->protocol.data, socket->protocol.size);
	cells[COLUMN_LOCAL] = cell_text_if_any(socket->local.data, socket->local.size);
	cells[COLUMN_REMOTE] = cell_text_if_any(socket->remote.data, socket->remote.size);
}

static void open_cells(struct row *row, const struct file *file)
{
	/* fs/proc/fd.c: whether it closes on exec is the descriptor's, not the file's. */
	const uint32_t close_on_exec = 02000000;
	const char *const modes[] = { "", "r", "w", "u" };
	uint32_t flags = file->flags & ~close_on_exec;

	if (row->descriptor->close_on_exec)
		flags |= close_on_exec;
	snprintf(row->flags, sizeof(row->flags), "0%o", flags);
	row->cells[COLUMN_FLAGS] = cell_string(row->flags);
	row->cells[COLUMN_POSITION] = cell_integer(file->position);
	if (file->mode & (FILE_READ | FILE_WRITE))
		row->cells[COLUMN_MODE] = cell_string(modes[file->mode & (FILE_READ | FILE_WRITE)]);
}

static void begin_row(struct row *row)
{
	const struct task *task = row->listing->task;

	for (size_t i = 0; i < COLUMNS; i++)
		row->cells[i] = cell_absent(KIOKU_CELL_NOT_APPLICABLE);
	row->cells[COLUMN_PID] = cell_integer(row->listing->leader->tgid);
	row->cells[COLUMN_TID] = cell_integer(task->pid);
	row->cells[COLUMN_COMM] = cell_text(task->comm, strnlen(task->comm, sizeof(task->comm)));
	if (row->descriptor)
		row->cells[COLUMN_FD] = cell_integer(row->descriptor->number);
	else
		row->cells[COLUMN_USE] = cell_string(row->use);
}

static void file_cells(struct row *row, uint64_t address)
{
	struct file file;
	enum kioku_status status = file_read(row->listing->run->kernel, address, &file);

	row->cells[COLUMN_FILE] = cell_number(address);
	if (status != KIOKU_OK) {
		struct kioku_cell cell = lost(row, "its struct file", status);
		row->cells[COLUMN_PATH] = row->cells[COLUMN_TYPE] = row->cells[COLUMN_INODE] = cell;
		return;
	}
	path_cells(row, &file.path);
	inode_cells(row, file.inode);
	if (row->descriptor)
		open_cells(row, &file);
	if (row->listing->path.kind == NAME_SOCKET)
		socket_cells(row, &file);
}

static enum kioku_status give_descriptor(void *user, const struct descriptor *descriptor)
{
	struct row row = { .listing = user, .descriptor = descriptor };

	begin_row(&row);
	file_cells(&row, descriptor->file);
	return view_row(row.listing->run, row.cells);
}

/* --- what is in use without a descriptor */

static enum kioku_status give_program(struct listing *listing, uint64_t mm)
{
	struct row row = { .listing = listing, .use = "txt" };
	uint64_t program;
	enum kioku_status status = task_read_program(listing->run->kernel, mm, &program);

	listing->program_is_listed = true;
	if (status == KIOKU_OK && !program)
		return KIOKU_OK;
	begin_row(&row);
	if (status == KIOKU_OK)
		file_cells(&row, program);
	else
		row.cells[COLUMN_PATH] = lost(&row, "its memory", status);
	return view_row(listing->run, row.cells);
}

static enum kioku_status give_place(struct listing *listing, const char *use,
				    const struct path *place)
{
	struct row row = { .listing = listing, .use = use };
	struct dentry dentry;

	begin_row(&row);
	path_cells(&row, place);
	enum kioku_status status = dentry_read(listing->run->kernel, place->dentry, &dentry);
	if (status == KIOKU_OK)
		inode_cells(&row, dentry.inode);
	else
		row.cells[COLUMN_INODE] = lost(&row, "inode", status);
	return view_row(listing->run, row.cells);
}

static enum kioku_status give_places(struct listing *listing, uint64_t fs)
{
	struct file_system_places places;
	enum kioku_status status = task_read_places(listing->run->kernel, fs, &places);

	if (status != KIOKU_OK) {
		const struct row row = { .listing = listing, .use = "cwd" };
		lost(&row, "its fs_struct", status);
		return KIOKU_OK;
	}
	TRY(give_place(listing, "cwd", &places.working));
	return give_place(listing, "rtd", &places.root);
}

/* --- tables */

static bool is_new(struct address_set *set, uint64_t address)
{
	return address && address_set_add(set, address) != ADDRESS_KNOWN;
}

static void diagnose_table(const struct listing *listing, const char *what,
			   enum kioku_status status)
{
	diagnose(&listing->run->kernel->diagnostics, KIOKU_GAP, "%s: %s", what,
		 kioku_status_name(status));
}

/* A row that was not wanted ends the walk; what the table is missing does not. */
static enum kioku_status give_table(struct listing *listing, uint64_t files)
{
	char what[64];

	snprintf(what, sizeof(what), "descriptors of task %d", listing->task->pid);
	enum kioku_status status =
		file_table_each(listing->run->kernel, files, what, give_descriptor, listing);
	switch (status) {
	case KIOKU_ERROR_CORRUPT:
	case KIOKU_ERROR_UNSUPPORTED:
	case KIOKU_ERROR_UNMAPPED:
	case KIOKU_ERROR_ABSENT: diagnose_table(listing, what, status); return KIOKU_OK;
	default: return status;
	}
}

static enum kioku_status give_thread(void *user, const struct task *task)
{
	struct listing *listing = user;
	struct task_files files;
	char what[64];

	listing->task = task;
	snprintf(what, sizeof(what), "what task %d has open", task->pid);
	enum kioku_status status = task_read_files(listing->run->kernel, task, &files);
	if (status != KIOKU_OK) {
		diagnose_table(listing, what, status);
		return KIOKU_OK;
	}
	if ((!files.files || !files.fs) && !task_is_leaving(task))
		diagnose_table(listing, what, KIOKU_ERROR_CORRUPT);
	if (listing->run->options.all && is_new(&listing->places, files.fs))
		TRY(give_places(listing, files.fs));
	if (listing->run->options.all && files.mm && !listing->program_is_listed)
		TRY(give_program(listing, files.mm));
	return is_new(&listing->tables, files.files) ? give_table(listing, files.files) : KIOKU_OK;
}

static enum kioku_status give_process(void *user, const struct task *leader)
{
	struct view_run *run = user;

	if (!view_wants_pid(run, leader->tgid))
		return KIOKU_OK;
	AUTO_FREE struct listing *listing = calloc(1, sizeof(*listing));
	if (!listing)
		return KIOKU_ERROR_NO_MEMORY;
	listing->run = run;
	listing->leader = leader;
	enum kioku_status status = task_each_thread(
		run->kernel, leader, TASK_IDENTITY | TASK_MEMBERS, give_thread, listing, NULL);
	listing_release(listing);
	return status;
}

static enum kioku_status run_lsof(struct view_run *run, struct kioku_error *error)
{
	return task_each_process(run->kernel, TASK_IDENTITY | TASK_MEMBERS, give_process, run,
				 error);
}

const struct kioku_view lsof_view = {
	.name = "lsof",
	.help = "what processes have open: files, sockets, pipes",
	VIEW_COLUMNS(columns),
	.options = KIOKU_VIEW_PID | KIOKU_VIEW_ALL,
	.needs_tasks = true,
	.records = records,
	.run = run_lsof,
};
