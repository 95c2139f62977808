/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* files: every inode that is in memory, by each of its names. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "kernel/file_filter.h"
#include "kernel/inode.h"
#include "kernel/page_cache.h"
#include "view/view.h"

static const struct record *const records[] = { &superblock_record, &inode_record, &dentry_record,
						NULL };

enum cell {
	ADDRESS,
	SUPERBLOCK,
	DEVICE,
	FSTYPE,
	MOUNT,
	INODE,
	TYPE,
	MODE,
	UID,
	GID,
	LINKS,
	SIZE,
	BLOCKS,
	ACCESSED,
	MODIFIED,
	CHANGED,
	BORN,
	PAGES,
	SWAPPED,
	CACHED,
	DELETED,
	PATH,
	TARGET,
	CELLS
};

static const struct kioku_column columns[CELLS] = {
	[ADDRESS] = { "address", KIOKU_KIND_ADDRESS, "of the struct inode", 1 },
	[SUPERBLOCK] = { "superblock", KIOKU_KIND_ADDRESS, "of the struct super_block", 1 },
	[DEVICE] = { "device", KIOKU_KIND_TEXT, "of the file system, MAJOR:MINOR", 0 },
	[FSTYPE] = { "fstype", KIOKU_KIND_TEXT, "type of the file system", 0 },
	[MOUNT] = { "mount", KIOKU_KIND_TEXT, "where it is mounted, or the kernel's name for it",
		    0 },
	[INODE] = { "inode", KIOKU_KIND_UNSIGNED, "inode number", 0 },
	[TYPE] = { "type", KIOKU_KIND_TEXT,
		   "regular, directory, symlink, character, block, fifo or socket", 0 },
	[MODE] = { "mode", KIOKU_KIND_TEXT, "permissions, octal", 0 },
	[UID] = { "uid", KIOKU_KIND_UNSIGNED, "owner", 0 },
	[GID] = { "gid", KIOKU_KIND_UNSIGNED, "group", 0 },
	[LINKS] = { "nlink", KIOKU_KIND_UNSIGNED, "names that it has, also those not in memory",
		    0 },
	[SIZE] = { "size", KIOKU_KIND_UNSIGNED, "bytes", 0 },
	[BLOCKS] = { "blocks", KIOKU_KIND_UNSIGNED, "of 512 bytes that it takes up", 1 },
	[ACCESSED] = { "accessed", KIOKU_KIND_TIME, "last read, UTC", 1 },
	[MODIFIED] = { "modified", KIOKU_KIND_TIME, "content last changed, UTC", 0 },
	[CHANGED] = { "changed", KIOKU_KIND_TIME, "inode last changed, UTC", 1 },
	[BORN] = { "born", KIOKU_KIND_TIME, "made, UTC, as tmpfs has it", 1 },
	[PAGES] = { "pages", KIOKU_KIND_UNSIGNED, "pages of 4096 bytes that are in memory", 0 },
	[SWAPPED] = { "swapped", KIOKU_KIND_UNSIGNED, "pages that are in swap", 1 },
	[CACHED] = { "cached", KIOKU_KIND_UNSIGNED, "bytes of the file that are in memory", 1 },
	[DELETED] = { "deleted", KIOKU_KIND_BOOLEAN, "the name, or the last of them, is gone", 0 },
	[PATH] = { "path", KIOKU_KIND_TEXT, "in its file system", 0 },
	[TARGET] = { "target", KIOKU_KIND_TEXT, "what a symbolic link leads to", 0 },
};

struct listing {
	struct view_run *run;
	struct kioku_error *error;
	struct file_filter filter;
	const struct superblock *superblock;
	const struct inode *inode;
	bool is_mounted, named;
	struct kioku_cell cells[CELLS];
	char device[24], mode[8];
	char link[LINK_ROOM];
	struct path_text mountpoint, path;
};

static struct kioku_cell text_cell(const char *text)
{
	return cell_text(text, strlen(text));
}

static struct kioku_cell type_cell(const struct inode *inode)
{
	static const struct {
		uint32_t format;
		const char *name;
	} types[] = {
		{ S_IFREG, "regular" },   { S_IFDIR, "directory" }, { S_IFLNK, "symlink" },
		{ S_IFBLK, "block" },     { S_IFIFO, "fifo" },      { S_IFSOCK, "socket" },
		{ S_IFCHR, "character" },
	};

	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
		if (inode_is(inode, types[i].format))
			return text_cell(types[i].name);
	return cell_absent(KIOKU_CELL_NOT_APPLICABLE);
}

static struct kioku_cell time_cell(int64_t seconds, uint32_t fraction)
{
	int64_t time;

	return inode_time(seconds, fraction, &time) ? cell_integer(time)
						    : cell_absent(KIOKU_CELL_CORRUPT);
}

static struct kioku_cell birth_cell(struct kioku_kernel *kernel, const struct inode *inode)
{
	int64_t time;
	enum kioku_status status = inode_birth(kernel, inode, &time);

	if (status == KIOKU_ERROR_UNSUPPORTED)
		return cell_absent(KIOKU_CELL_NOT_APPLICABLE);
	return status == KIOKU_OK ? cell_integer(time) : cell_absent(presence_of(status));
}

/* --- pages */

struct count {
	uint64_t present, swapped, bytes, size;
	bool is_damaged;
};

static enum kioku_status add_run(void *user, const struct page_run *run)
{
	struct count *count = user;
	uint64_t start = run->index * PAGE_SIZE, end = start + run->count * PAGE_SIZE;

	count->is_damaged |= run->state == PAGE_RUN_LOST;
	if (run->state == PAGE_RUN_SWAPPED)
		count->swapped += run->count;
	if (run->state != PAGE_RUN_PRESENT)
		return KIOKU_OK;
	count->present += run->count;
	end = end > count->size ? count->size : end;
	count->bytes += end > start ? end - start : 0;
	return KIOKU_OK;
}

static void count_pages(struct listing *listing)
{
	struct kioku_kernel *kernel = listing->run->kernel;
	struct count count = { .size = listing->inode->size > 0 ? (uint64_t)listing->inode->size
								: 0 };
	struct kioku_cell *cells = listing->cells;
	struct page_cache cache;

	enum kioku_status status = page_cache_open(kernel, listing->inode, &cache, NULL);
	if (status == KIOKU_OK)
		status = page_cache_each(kernel, &cache, 0, PAGE_CACHE_LAST, add_run, &count, NULL);
	if (status == KIOKU_OK && count.is_damaged)
		status = KIOKU_ERROR_CORRUPT;
	if (status == KIOKU_OK || status == KIOKU_ERROR_NOT_FOUND) {
		cells[PAGES] = cell_number(count.present);
		cells[SWAPPED] = cell_number(count.swapped);
		cells[CACHED] = cell_number(count.bytes);
	} else {
		cells[PAGES] = cells[SWAPPED] = cells[CACHED] = cell_absent(presence_of(status));
	}
}

static void show_link(struct listing *listing)
{
	size_t size;

	listing->cells[TARGET] = cell_absent(KIOKU_CELL_NOT_APPLICABLE);
	if (!inode_is(listing->inode, S_IFLNK))
		return;
	enum kioku_status status =
		inode_link(listing->run->kernel, listing->inode, listing->link, &size);
	if (status == KIOKU_OK)
		listing->cells[TARGET] = cell_text(listing->link, size);
	else if (status != KIOKU_ERROR_NOT_FOUND) /* such as those of procfs, which lead by code */
		listing->cells[TARGET] = cell_absent(presence_of(status));
}

/* --- rows */

static void fill_inode(struct listing *listing)
{
	struct view_run *run = listing->run;
	const struct inode *inode = listing->inode;
	struct kioku_cell *cells = listing->cells;

	snprintf(listing->mode, sizeof(listing->mode), "%04o", inode->mode & 07777u);
	cells[ADDRESS] = cell_number(inode->address);
	cells[INODE] = cell_number(inode->number);
	cells[TYPE] = type_cell(inode);
	cells[MODE] = text_cell(listing->mode);
	cells[UID] = cell_number(inode->uid);
	cells[GID] = cell_number(inode->gid);
	cells[LINKS] = cell_number(inode->link_count);
	cells[SIZE] = inode->size < 0 ? cell_absent(KIOKU_CELL_CORRUPT)
				      : cell_number((uint64_t)inode->size);
	cells[BLOCKS] = cell_number(inode->blocks);
	cells[ACCESSED] = time_cell(inode->atime, inode->atime_fraction);
	cells[MODIFIED] = time_cell(inode->mtime, inode->mtime_fraction);
	cells[CHANGED] = time_cell(inode->ctime, inode->ctime_fraction);
	if (view_wants_column(run, BORN))
		cells[BORN] = birth_cell(run->kernel, inode);
	if (view_wants_column(run, PAGES) || view_wants_column(run, SWAPPED) ||
	    view_wants_column(run, CACHED))
		count_pages(listing);
	if (view_wants_column(run, TARGET))
		show_link(listing);
}

static enum kioku_status give_name(void *user, uint64_t dentry)
{
	struct listing *listing = user;
	struct path_text *path = &listing->path;

	enum kioku_status status = path_of_dentry(listing->run->kernel, dentry, path);
	if (status != KIOKU_OK)
		diagnose(&listing->run->kernel->diagnostics, KIOKU_GAP,
			 "the path of inode %" PRIu64 " is damaged at 0x%" PRIx64,
			 listing->inode->number, dentry);
	if (listing->filter.path &&
	    (status != KIOKU_OK ||
	     !file_filter_has_path(&listing->filter,
				   listing->is_mounted ? &listing->mountpoint : NULL, path)))
		return KIOKU_OK;
	if (!listing->named)
		fill_inode(listing);
	listing->named = true;
	listing->cells[DELETED] = cell_boolean(path->deleted || listing->inode->link_count == 0);
	listing->cells[PATH] = status == KIOKU_OK ? cell_text(path->data, path->size)
						  : cell_absent(presence_of(status));
	return view_row(listing->run, listing->cells);
}

static enum kioku_status give_inode(void *user, const struct inode *inode)
{
	struct listing *listing = user;

	listing->inode = inode;
	listing->named = false;
	TRY(inode_each_alias(listing->run->kernel, inode, give_name, listing));
	if (listing->named || listing->filter.path)
		return KIOKU_OK;
	fill_inode(listing);
	listing->cells[DELETED] = cell_boolean(inode->link_count == 0);
	listing->cells[PATH] = cell_absent(KIOKU_CELL_NOT_APPLICABLE);
	return view_row(listing->run, listing->cells);
}

static enum kioku_status give_superblock(void *user, const struct superblock *superblock)
{
	struct listing *listing = user;
	struct kioku_kernel *kernel = listing->run->kernel;
	struct kioku_cell *cells = listing->cells;

	if (!file_filter_has_fstype(&listing->filter, superblock))
		return KIOKU_OK;
	listing->superblock = superblock;
	listing->is_mounted =
		superblock_mountpoint(kernel, superblock, &listing->mountpoint) == KIOKU_OK;
	snprintf(listing->device, sizeof(listing->device), "%u:%u",
		 device_major(superblock->device), device_minor(superblock->device));
	cells[SUPERBLOCK] = cell_number(superblock->address);
	cells[DEVICE] = text_cell(listing->device);
	cells[FSTYPE] = text_cell(superblock->fstype);
	cells[MOUNT] = listing->is_mounted
			       ? cell_text(listing->mountpoint.data, listing->mountpoint.size)
			       : text_cell(superblock->id);
	return inode_each(kernel, superblock, give_inode, listing, listing->error);
}

static enum kioku_status run_files(struct view_run *run, struct kioku_error *error)
{
	AUTO_FREE struct listing *listing = calloc(1, sizeof(*listing));

	if (!listing)
		return error_no_memory(error);
	listing->run = run;
	listing->error = error;
	listing->filter =
		(struct file_filter){ .fstype = run->options.fstype, .path = run->options.path };
	return superblock_each(run->kernel, give_superblock, listing, error);
}

const struct kioku_view files_view = {
	.name = "files",
	.help = "files, folders and whatever else has an inode in memory",
	VIEW_COLUMNS(columns),
	.options = KIOKU_VIEW_FILES,
	.needs_symbols = true,
	.records = records,
	.run = run_files,
};
