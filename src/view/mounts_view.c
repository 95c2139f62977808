/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* mounts: what is mounted where, in each mount namespace. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "kernel/file_table.h"
#include "kernel/mount_namespace.h"
#include "view/view.h"

enum {
	COLUMN_NAMESPACE,
	COLUMN_PID,
	COLUMN_ID,
	COLUMN_PARENT,
	COLUMN_DEVICE,
	COLUMN_ROOT,
	COLUMN_SOURCE,
	COLUMN_TARGET,
	COLUMN_FSTYPE,
	COLUMN_OPTIONS,
	COLUMN_MOUNT_OPTIONS,
	COLUMN_SUPER_OPTIONS,
	COLUMN_PROPAGATION,
	COLUMN_SUPERBLOCK,
	COLUMN_MOUNT,
	COLUMNS
};

static const struct kioku_column columns[COLUMNS] = {
	[COLUMN_NAMESPACE] = { "namespace", KIOKU_KIND_UNSIGNED,
			       "its number, as in /proc/PID/ns/mnt", 0 },
	[COLUMN_PID] = { "pid", KIOKU_KIND_INTEGER, "a process in that namespace", 0 },
	[COLUMN_ID] = { "id", KIOKU_KIND_INTEGER, "of the mount, as in /proc/PID/mountinfo", 0 },
	[COLUMN_PARENT] = { "parent", KIOKU_KIND_INTEGER, "id of the mount that it is on", 0 },
	[COLUMN_DEVICE] = { "device", KIOKU_KIND_TEXT, "major:minor, decimal", 0 },
	[COLUMN_ROOT] = { "root", KIOKU_KIND_TEXT, "what of the file system is shown", 0 },
	[COLUMN_SOURCE] = { "source", KIOKU_KIND_TEXT, "what was mounted", 0 },
	[COLUMN_TARGET] = { "target", KIOKU_KIND_TEXT, "where, from the process's root", 0 },
	[COLUMN_FSTYPE] = { "fstype", KIOKU_KIND_TEXT, "type of the file system", 0 },
	[COLUMN_OPTIONS] = { "options", KIOKU_KIND_TEXT, "as in /proc/PID/mounts", 0 },
	[COLUMN_MOUNT_OPTIONS] = { "mount_options", KIOKU_KIND_TEXT, "those of the mount alone",
				   1 },
	[COLUMN_SUPER_OPTIONS] = { "super_options", KIOKU_KIND_TEXT,
				   "those of the file system alone", 1 },
	[COLUMN_PROPAGATION] = { "propagation", KIOKU_KIND_TEXT, "shared:N master:N unbindable",
				 1 },
	[COLUMN_SUPERBLOCK] = { "superblock", KIOKU_KIND_ADDRESS, "address of the super_block", 0 },
	[COLUMN_MOUNT] = { "mount", KIOKU_KIND_ADDRESS, "address of the struct mount", 1 },
};

static const struct record *const records[] = {
	&task_record,       &mount_namespace_record, &mount_record,
	&superblock_record, &dentry_record,          NULL,
};

/* Options, with commas between them. */
struct options {
	size_t size;
	char text[256];
};

static void __attribute__((format(printf, 2, 3)))
add_option(struct options *options, const char *format, ...)
{
	size_t room = sizeof(options->text) - options->size;
	va_list arguments;

	va_start(arguments, format);
	int size = vsnprintf(options->text + options->size, room, format, arguments);
	va_end(arguments);
	if (size > 0 && (size_t)size < room)
		options->size += (size_t)size;
}

struct flag_name {
	uint64_t flag;
	const char *name;
};

/* As fs/proc_namespace.c has them, in its order; the values of v4.18 to v7.0. */
static const struct flag_name superblock_flags[] = {
	{ 1 << 4, "sync" },      { 1 << 7, "dirsync" }, { 1 << 6, "mand" },
	{ 1 << 25, "lazytime" }, { 0, NULL },
};

static const struct flag_name mount_flags[] = {
	{ 0x01, "nosuid" },     { 0x02, "nodev" },    { 0x04, "noexec" },      { 0x08, "noatime" },
	{ 0x10, "nodiratime" }, { 0x20, "relatime" }, { 0x80, "nosymfollow" }, { 0, NULL },
};

static void add_flags(struct options *options, const struct flag_name *names, uint64_t flags)
{
	for (; names->name; names++)
		if (flags & names->flag)
			add_option(options, ",%s", names->name);
}

/* As shmem_show_options() of mm/shmem.c: what is not as it would be without. */
static void add_tmpfs(struct options *options, const struct tmpfs_options *tmpfs)
{
	static const char *const huge[] = { NULL, "always", "within_size", "advise" };

	if (!tmpfs->default_blocks || tmpfs->blocks != tmpfs->default_blocks)
		add_option(options, ",size=%lluk", (unsigned long long)tmpfs->blocks * 4);
	if (!tmpfs->default_inodes || tmpfs->inodes != tmpfs->default_inodes)
		add_option(options, ",nr_inodes=%llu", (unsigned long long)tmpfs->inodes);
	if (tmpfs->mode != 01777)
		add_option(options, ",mode=%03o", tmpfs->mode);
	if (tmpfs->uid)
		add_option(options, ",uid=%u", tmpfs->uid);
	if (tmpfs->gid)
		add_option(options, ",gid=%u", tmpfs->gid);
	if (tmpfs->inodes_are_64)
		add_option(options, ",inode64");
	if (tmpfs->huge < sizeof(huge) / sizeof(*huge) && huge[tmpfs->huge])
		add_option(options, ",huge=%s", huge[tmpfs->huge]);
	if (tmpfs->noswap)
		add_option(options, ",noswap");
}

struct listing {
	struct view_run *run;
	struct kioku_error *error;
	struct address_set namespaces;    /* that were listed already */
	struct mount_namespace namespace; /* this one */
	int32_t pid;                      /* a process in it */
	struct path place;                /* the root that targets start from */
	const struct path *from;          /* that, or NULL: from the top of the namespace */
	bool wanted, found;               /* a process, its namespace */
	struct path_text target, root;
};

struct row {
	struct listing *listing;
	const struct mount *mount;
	struct kioku_cell cells[COLUMNS];
	struct options options, mount_options, super_options, propagation;
	char device[24], type[FSTYPE_ROOM], source[PATH_ROOM];
};

static struct kioku_cell lost(const struct row *row, const char *what, enum kioku_status status)
{
	diagnose(&row->listing->run->kernel->diagnostics, KIOKU_GAP, "mount %d: %s: %s",
		 row->mount->id, what, kioku_status_name(status));
	return cell_absent(presence_of(status));
}

static struct kioku_cell options_cell(const struct options *options)
{
	return cell_text(options->text, options->size);
}

/* --- cells */

static void source_cell(struct row *row)
{
	size_t size = 4;
	enum kioku_status status = KIOKU_OK;

	memcpy(row->source, "none", size);
	if (row->mount->device_name)
		status = kernel_read_string(row->listing->run->kernel, row->mount->device_name,
					    row->source, PATH_ROOM, &size);
	row->cells[COLUMN_SOURCE] =
		status == KIOKU_OK ? cell_text(row->source, size) : lost(row, "source", status);
}

static void propagation_cell(struct row *row)
{
	struct kioku_kernel *kernel = row->listing->run->kernel;
	struct options *text = &row->propagation;
	struct mount master;

	if (row->mount->group)
		add_option(text, " shared:%d", row->mount->group);
	if (row->mount->master) {
		enum kioku_status status = mount_read(kernel, row->mount->master, &master);
		if (status != KIOKU_OK)
			lost(row, "its master", status);
		else
			add_option(text, " master:%d", master.group);
	}
	if (row->mount->is_unbindable)
		add_option(text, " unbindable");
	if (text->size)
		row->cells[COLUMN_PROPAGATION] = cell_text(text->text + 1, text->size - 1);
}

/* What a superblock is mounted with: the last field of mountinfo. */
static void add_superblock(struct row *row, const struct superblock *superblock)
{
	struct options *own = &row->super_options, *all = &row->options;
	struct tmpfs_options tmpfs;
	uint64_t read_only = superblock->flags & SUPERBLOCK_READ_ONLY;

	add_option(own, read_only ? "ro" : "rw");
	add_flags(own, superblock_flags, superblock->flags);
	add_option(all, read_only || row->mount->flags & MOUNT_READ_ONLY ? "ro" : "rw");
	add_flags(all, superblock_flags, superblock->flags);
	add_flags(all, mount_flags, row->mount->flags);
	if (tmpfs_read(row->listing->run->kernel, superblock, &tmpfs) == KIOKU_OK) {
		add_tmpfs(own, &tmpfs);
		add_tmpfs(all, &tmpfs);
	}
}

static void superblock_cells(struct row *row)
{
	struct kioku_kernel *kernel = row->listing->run->kernel;
	struct kioku_cell *cells = row->cells;
	struct superblock superblock;
	enum kioku_status status = superblock_read(kernel, row->mount->superblock, &superblock);

	if (status != KIOKU_OK) {
		cells[COLUMN_FSTYPE] = cells[COLUMN_OPTIONS] = cells[COLUMN_SUPER_OPTIONS] =
			cells[COLUMN_DEVICE] = lost(row, "superblock", status);
		return;
	}
	add_superblock(row, &superblock);
	cells[COLUMN_OPTIONS] = options_cell(&row->options);
	cells[COLUMN_SUPER_OPTIONS] = options_cell(&row->super_options);
	snprintf(row->device, sizeof(row->device), "%u:%u", device_major(superblock.device),
		 device_minor(superblock.device));
	cells[COLUMN_DEVICE] = cell_text(row->device, strlen(row->device));
	memcpy(row->type, superblock.fstype, sizeof(row->type));
	cells[COLUMN_FSTYPE] = cell_text(row->type, strlen(row->type));
}

static void mount_cells(struct row *row)
{
	struct kioku_cell *cells = row->cells;
	const struct mount *mount = row->mount;
	struct mount parent;

	cells[COLUMN_NAMESPACE] = cell_number(row->listing->namespace.inode);
	cells[COLUMN_PID] = cell_integer(row->listing->pid);
	cells[COLUMN_ID] = cell_integer(mount->id);
	enum kioku_status status = mount_read(row->listing->run->kernel, mount->parent, &parent);
	cells[COLUMN_PARENT] =
		status == KIOKU_OK ? cell_integer(parent.id) : lost(row, "its parent", status);
	cells[COLUMN_SUPERBLOCK] = cell_number(mount->superblock);
	cells[COLUMN_MOUNT] = cell_number(mount->address);
	add_option(&row->mount_options, mount->flags & MOUNT_READ_ONLY ? "ro" : "rw");
	add_flags(&row->mount_options, mount_flags, mount->flags);
	cells[COLUMN_MOUNT_OPTIONS] = options_cell(&row->mount_options);
}

static void root_cell(struct row *row)
{
	static const char mark[] = "//deleted"; /* dentry_path() of fs/d_path.c */
	struct path_text *root = &row->listing->root;
	enum kioku_status status =
		path_of_dentry(row->listing->run->kernel, row->mount->root, root);

	if (status != KIOKU_OK) {
		row->cells[COLUMN_ROOT] = lost(row, "root", status);
		return;
	}
	if (root->deleted && root->size + sizeof(mark) <= PATH_ROOM) {
		memcpy(root->data + root->size, mark, sizeof(mark) - 1);
		root->size += sizeof(mark) - 1;
	}
	row->cells[COLUMN_ROOT] = cell_text(root->data, root->size);
}

static enum kioku_status give_row(struct listing *listing, const struct mount *mount,
				  enum kioku_status target)
{
	AUTO_FREE struct row *row = calloc(1, sizeof(*row));

	if (!row)
		return KIOKU_ERROR_NO_MEMORY;
	row->listing = listing;
	row->mount = mount;
	for (size_t i = 0; i < COLUMNS; i++)
		row->cells[i] = cell_absent(KIOKU_CELL_NOT_APPLICABLE);
	row->cells[COLUMN_TARGET] = target == KIOKU_OK
					    ? cell_text(listing->target.data, listing->target.size)
					    : lost(row, "target", target);
	mount_cells(row);
	root_cell(row);
	source_cell(row);
	superblock_cells(row);
	propagation_cell(row);
	return view_row(listing->run, row->cells);
}

static enum kioku_status give_mount(void *user, const struct mount *mount)
{
	struct listing *listing = user;
	const struct path top = { mount->vfsmount, mount->root };
	enum kioku_status status =
		path_of(listing->run->kernel, &top, listing->from, &listing->target);

	/* As in mountinfo: what a process cannot reach from its root is not there for it. */
	if (status == KIOKU_OK && listing->from && !listing->target.is_whole)
		return KIOKU_OK;
	return give_row(listing, mount, status);
}

/* --- namespaces */

static bool is_wanted(const struct listing *listing, const struct task *task)
{
	const struct kioku_view_options *options = &listing->run->options;

	if (options->pid_count > 0)
		return view_wants_pid(listing->run, task->tgid);
	return options->all || task->tgid == 1;
}

static enum kioku_status lost_task(const struct listing *listing, const struct task *task,
				   enum kioku_status status)
{
	diagnose(&listing->run->kernel->diagnostics, KIOKU_GAP,
		 "the mount namespace of task %d: %s", task->pid, kioku_status_name(status));
	return KIOKU_OK;
}

static enum kioku_status give_task(void *user, const struct task *task)
{
	struct listing *listing = user;
	struct file_system_places places;
	struct task_files files;
	enum kioku_status status = task_read_files(listing->run->kernel, task, &files);

	if (status != KIOKU_OK)
		return lost_task(listing, task, status);
	if (!files.namespaces || !files.fs)
		return task_is_leaving(task) ? KIOKU_OK
					     : lost_task(listing, task, KIOKU_ERROR_CORRUPT);
	status = mount_namespace_of(listing->run->kernel, files.namespaces, &listing->namespace);
	if (status == KIOKU_OK)
		status = task_read_places(listing->run->kernel, files.fs, &places);
	if (status != KIOKU_OK)
		return lost_task(listing, task, status);
	listing->found = true;
	if (address_set_add(&listing->namespaces, listing->namespace.address) == ADDRESS_KNOWN)
		return KIOKU_OK;
	listing->pid = task->tgid;
	listing->place = places.root;
	listing->from = listing->run->options.all ? NULL : &listing->place;
	return mount_namespace_each(listing->run->kernel, &listing->namespace, give_mount, listing,
				    listing->error);
}

static enum kioku_status give_process(void *user, const struct task *leader)
{
	struct listing *listing = user;

	if (!is_wanted(listing, leader))
		return KIOKU_OK;
	listing->wanted = true;
	return task_each_thread(listing->run->kernel, leader, TASK_IDENTITY | TASK_MEMBERS,
				give_task, listing, listing->error);
}

static enum kioku_status run_mounts(struct view_run *run, struct kioku_error *error)
{
	AUTO_FREE struct listing *listing = calloc(1, sizeof(*listing));

	if (!listing)
		return error_no_memory(error);
	listing->run = run;
	listing->error = error;
	enum kioku_status status = task_each_process(run->kernel, TASK_IDENTITY | TASK_MEMBERS,
						     give_process, listing, error);
	if (status == KIOKU_OK && !listing->found &&
	    (listing->wanted || run->options.pid_count == 0))
		diagnose(&run->kernel->diagnostics, KIOKU_GAP,
			 "no mount namespace was found: the process has ended, or is damaged");
	address_set_release(&listing->namespaces);
	return status;
}

const struct kioku_view mounts_view = {
	.name = "mounts",
	.help = "what is mounted where, for process 1; --pid: for this one; --all: everywhere",
	VIEW_COLUMNS(columns),
	.options = KIOKU_VIEW_PID | KIOKU_VIEW_ALL,
	.needs_tasks = true,
	.records = records,
	.run = run_mounts,
};
