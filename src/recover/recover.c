/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Each file system in passes: folders, files with their further names, symbolic links, which nothing may be
 * written through, and last what folders were like before something was put into them.
 */
#include <inttypes.h>
#include <kioku/recover.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/growing.h"
#include "kernel/file_filter.h"
#include "recover/content.h"
#include "recover/location.h"

#define FILESYSTEM_LIMIT 4096

/* One name of an inode. The struct inode is read again when its turn comes. */
struct entry {
	uint64_t inode, dentry; /* addresses; no dentry: 0 */
	uint16_t format;        /* S_IFMT */
	bool is_said;           /* that its name is none */
	uint16_t depth;         /* of a folder that was made: names in its path; 0: it was not */
};

struct recovery {
	struct kioku_kernel *kernel;
	const struct kioku_recover_options *options;
	struct kioku_recover_result *result;
	struct kioku_error *error;
	struct file_filter filter;
	struct output output;
	uint8_t *buffer;

	const struct superblock *superblock;
	bool is_mounted;
	struct path_text mountpoint;
	char filesystem[FILESYSTEM_ROOM];
	char (*filesystems)[FILESYSTEM_ROOM]; /* that had their turn */
	size_t filesystem_count;
	struct entry *entries;
	size_t count, capacity;

	struct path_text path;
	struct place place;
	uint64_t linked; /* address of the inode that the last file was made of */
	struct place first;
	char link[LINK_ROOM + 1];
};

static void recovery_release(struct recovery *recovery)
{
	free(recovery->entries);
	free(recovery->filesystems);
	free(recovery->buffer);
	recover_output_release(&recovery->output);
}

/* A file that could not be restored: the rest goes on unless nothing can. */
static enum kioku_status give_up_file(struct recovery *recovery, enum kioku_status status,
				      const struct kioku_error *error)
{
	if (status == KIOKU_OK)
		return KIOKU_OK;
	if (status == KIOKU_ERROR_STOPPED || status == KIOKU_ERROR_NO_MEMORY ||
	    recovery->output.is_broken) {
		if (recovery->error)
			*recovery->error = *error;
		return status;
	}
	recovery->result->failed++;
	diagnose(&recovery->kernel->diagnostics, KIOKU_GAP, "%s is not restored: %s",
		 recovery->place.path,
		 error->message[0] ? error->message : kioku_status_name(status));
	return KIOKU_OK;
}

/* --- which files */

static enum kioku_status add_entry(struct recovery *recovery, const struct inode *inode,
				   uint64_t dentry)
{
	if (!GROW(recovery->entries, recovery->count, recovery->capacity))
		return error_no_memory(recovery->error);
	recovery->entries[recovery->count++] = (struct entry){ .inode = inode->address,
							       .dentry = dentry,
							       .format = inode->mode & S_IFMT };
	return KIOKU_OK;
}

struct naming {
	struct recovery *recovery;
	const struct inode *inode;
	bool has_name;
};

static enum kioku_status add_name(void *user, uint64_t dentry)
{
	struct naming *naming = user;
	struct recovery *recovery = naming->recovery;

	naming->has_name = true;
	if (!recovery->filter.path)
		return add_entry(recovery, naming->inode, dentry);
	if (path_of_dentry(recovery->kernel, dentry, &recovery->path) != KIOKU_OK) {
		diagnose(&recovery->kernel->diagnostics, KIOKU_GAP,
			 "the path of inode %" PRIu64
			 " is damaged: it is left out, as it may not match",
			 naming->inode->number);
		return KIOKU_OK;
	}
	if (!file_filter_has_path(&recovery->filter,
				  recovery->is_mounted ? &recovery->mountpoint : NULL,
				  &recovery->path))
		return KIOKU_OK;
	return add_entry(recovery, naming->inode, dentry);
}

static enum kioku_status add_inode(void *user, const struct inode *inode)
{
	struct recovery *recovery = user;
	struct naming naming = { .recovery = recovery, .inode = inode };

	TRY(inode_each_alias(recovery->kernel, inode, add_name, &naming));
	/* A folder without a name has nothing in it; a file has content. */
	if (naming.has_name || recovery->filter.path || !inode_is(inode, S_IFREG))
		return KIOKU_OK;
	return add_entry(recovery, inode, 0);
}

struct look {
	struct kioku_kernel *kernel;
	bool has_content;
};

static enum kioku_status look_at(void *user, const struct inode *inode)
{
	struct look *look = user;
	struct page_cache cache;

	look->has_content = inode_is(inode, S_IFREG) &&
			    page_cache_open(look->kernel, inode, &cache, NULL) == KIOKU_OK &&
			    (cache.in_memory || cache.page_count > 0);
	return look->has_content ? KIOKU_ERROR_STOPPED : KIOKU_OK;
}

/* Whether there is anything to have: of procfs and its like there is not. */
static bool has_content(struct recovery *recovery, const struct superblock *superblock)
{
	struct look look = { .kernel = recovery->kernel };

	if (strcmp(superblock->fstype, "tmpfs") == 0)
		return true;
	(void)inode_each(recovery->kernel, superblock, look_at, &look, NULL);
	return look.has_content;
}

/* --- one name */

static void set_place(struct recovery *recovery, const struct inode *inode, struct entry *entry)
{
	struct path_text *path = &recovery->path;
	bool is_known =
		entry->dentry && path_of_dentry(recovery->kernel, entry->dentry, path) == KIOKU_OK;

	place_file(recovery->filesystem, inode, is_known ? path : NULL, &recovery->place);
	if (!entry->dentry || entry->is_said ||
	    strncmp(recovery->place.path, ".unnamed/", strlen(".unnamed/")) != 0)
		return;
	entry->is_said = true;
	diagnose(&recovery->kernel->diagnostics, KIOKU_GAP,
		 "the path of inode %" PRIu64 " is damaged, or none: it goes to %s", inode->number,
		 recovery->place.path);
}

static void attributes_of(const struct recovery *recovery, const struct inode *inode,
			  struct attributes *out)
{
	*out = (struct attributes){
		.mode = inode->mode & (recovery->options->preserve ? 07777 : 0777),
		.uid = inode->uid,
		.gid = inode->gid,
	};
	/* Damage to a time is no reason to lose the file. */
	if (inode->atime_fraction < 1000000000) {
		out->atime = inode->atime;
		out->atime_fraction = inode->atime_fraction;
	}
	if (inode->mtime_fraction < 1000000000) {
		out->mtime = inode->mtime;
		out->mtime_fraction = inode->mtime_fraction;
	}
}

static enum kioku_status restore_folder(struct recovery *recovery, const struct inode *inode,
					struct entry *entry, struct kioku_error *error)
{
	struct attributes attributes;
	uint16_t depth = 1;

	if (recovery->options->only_missing)
		return KIOKU_OK;
	attributes_of(recovery, inode, &attributes);
	TRY(recovery->output.driver->folder(&recovery->output, recovery->place.path, &attributes,
					    error));
	for (const char *at = recovery->place.path; (at = strchr(at, '/')); at++)
		depth++;
	entry->depth = depth;
	recovery->result->folders++;
	return KIOKU_OK;
}

static enum kioku_status restore_content(struct recovery *recovery, const struct inode *inode,
					 struct missing *missing, struct kioku_error *error)
{
	CLEANUP(content_release) struct file_content found = { 0 };
	struct output *output = &recovery->output;
	struct attributes attributes;

	TRY(content_find(recovery->kernel, inode, &found, missing, error));
	if (recovery->options->only_missing)
		return KIOKU_OK;
	const struct content content = { .size = found.size,
					 .segments = found.segments,
					 .count = found.segment_count };
	attributes_of(recovery, inode, &attributes);
	TRY(output->driver->file(output, recovery->place.path, &attributes, &content, error));
	TRY(content_write(recovery->kernel, &found, output, recovery->buffer, missing, error));
	TRY(output->driver->file_end(output, &attributes, error));
	for (size_t i = 0; i < found.segment_count; i++)
		recovery->result->bytes += found.segments[i].size;
	recovery->result->files++;
	recovery->linked = inode->address;
	recovery->first = recovery->place;
	return KIOKU_OK;
}

static void begin_missing(struct recovery *recovery, struct missing *out)
{
	*out = (struct missing){ .function = recovery->options->missing,
				 .user = recovery->options->user,
				 .path = recovery->place.path };
}

static enum kioku_status restore_file(struct recovery *recovery, const struct inode *inode,
				      struct entry *entry, struct kioku_error *error)
{
	struct missing missing;

	/* All names of an inode come one after the other. */
	if (recovery->linked == inode->address && !recovery->options->only_missing) {
		TRY(recovery->output.driver->link(&recovery->output, recovery->place.path,
						  recovery->first.path, error));
		recovery->result->links++;
		return KIOKU_OK;
	}
	begin_missing(recovery, &missing);
	enum kioku_status status = restore_content(recovery, inode, &missing, error);
	recovery->result->missing_bytes += missing.bytes;
	recovery->result->stale_bytes += missing.stale_bytes;
	return status;
}

static enum kioku_status restore_symlink(struct recovery *recovery, const struct inode *inode,
					 struct entry *entry, struct kioku_error *error)
{
	struct attributes attributes;
	size_t size;

	enum kioku_status status = inode_link(recovery->kernel, inode, recovery->link, &size);
	if (status != KIOKU_OK) {
		struct missing missing;
		begin_missing(recovery, &missing);
		TRY(missing_add(&missing, 0, inode->size > 0 ? (uint64_t)inode->size : 1,
				status == KIOKU_ERROR_NOT_FOUND   ? "not cached"
				: status == KIOKU_ERROR_PAGED_OUT ? "swapped out"
								  : "damaged"));
		TRY(missing_flush(&missing));
		recovery->result->missing_bytes += missing.bytes;
		return KIOKU_OK;
	}
	if (recovery->options->only_missing)
		return KIOKU_OK;
	recovery->link[size] = '\0';
	attributes_of(recovery, inode, &attributes);
	TRY(recovery->output.driver->symlink(&recovery->output, recovery->place.path,
					     recovery->link, &attributes, error));
	recovery->result->symlinks++;
	return KIOKU_OK;
}

static enum kioku_status finish_folder(struct recovery *recovery, const struct inode *inode,
				       struct entry *entry, struct kioku_error *error)
{
	struct attributes attributes;

	if (entry->depth == 0)
		return KIOKU_OK;
	attributes_of(recovery, inode, &attributes);
	return recovery->output.driver->folder_end(&recovery->output, recovery->place.path,
						   &attributes, error);
}

static enum kioku_status leave_out(struct recovery *recovery, const struct inode *inode,
				   struct entry *entry, struct kioku_error *error)
{
	static const struct {
		uint32_t format;
		const char *name;
	} kinds[] = { { S_IFCHR, "a character device" },
		      { S_IFBLK, "a block device" },
		      { S_IFIFO, "a fifo" },
		      { S_IFSOCK, "a socket" } };

	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		if (!inode_is(inode, kinds[i].format))
			continue;
		recovery->result->left_out++;
		diagnose(&recovery->kernel->diagnostics, KIOKU_NOTE, "%s is %s: left out",
			 recovery->place.path, kinds[i].name);
	}
	return KIOKU_OK;
}

/* --- passes */

typedef enum kioku_status restore_fn(struct recovery *recovery, const struct inode *inode,
				     struct entry *entry, struct kioku_error *error);

static enum kioku_status pass(struct recovery *recovery, uint16_t format, restore_fn *restore)
{
	for (size_t i = 0; i < recovery->count; i++) {
		struct entry *entry = &recovery->entries[i];
		struct kioku_error error = { 0 };
		struct inode inode;
		if (format && entry->format != format)
			continue;
		if (inode_read(recovery->kernel, entry->inode, &inode) != KIOKU_OK)
			continue; /* of a machine that runs: it is gone */
		set_place(recovery, &inode, entry);
		TRY(give_up_file(recovery, restore(recovery, &inode, entry, &error), &error));
	}
	return KIOKU_OK;
}

static int deeper_first(const void *left, const void *right)
{
	const struct entry *a = left, *b = right;

	return (a->depth < b->depth) - (a->depth > b->depth);
}

static void name_filesystem(struct recovery *recovery, const struct superblock *superblock)
{
	bool is_taken = true;

	for (unsigned number = 1; is_taken; number++) {
		is_taken = false;
		place_filesystem(superblock, number, recovery->filesystem);
		for (size_t i = 0; i < recovery->filesystem_count; i++)
			is_taken |= strcmp(recovery->filesystems[i], recovery->filesystem) == 0;
	}
	memcpy(recovery->filesystems[recovery->filesystem_count++], recovery->filesystem,
	       FILESYSTEM_ROOM);
	if (recovery->count > 0 && recovery->is_mounted)
		diagnose(&recovery->kernel->diagnostics, KIOKU_NOTE, "%s is mounted at %.*s",
			 recovery->filesystem, (int)recovery->mountpoint.size,
			 recovery->mountpoint.data);
}

static enum kioku_status recover_filesystem(void *user, const struct superblock *superblock)
{
	struct recovery *recovery = user;

	if (recovery->filesystem_count == FILESYSTEM_LIMIT ||
	    !file_filter_has_fstype(&recovery->filter, superblock) ||
	    (!recovery->filter.fstype && !has_content(recovery, superblock)))
		return KIOKU_OK;
	recovery->is_mounted = superblock_mountpoint(recovery->kernel, superblock,
						     &recovery->mountpoint) == KIOKU_OK;
	recovery->count = 0;
	recovery->linked = 0;
	TRY(inode_each(recovery->kernel, superblock, add_inode, recovery, recovery->error));
	name_filesystem(recovery, superblock);
	TRY(pass(recovery, S_IFDIR, restore_folder));
	TRY(pass(recovery, S_IFREG, restore_file));
	TRY(pass(recovery, S_IFLNK, restore_symlink));
	if (recovery->options->only_missing || recovery->count == 0)
		return KIOKU_OK;
	TRY(pass(recovery, 0, leave_out));
	qsort(recovery->entries, recovery->count, sizeof(*recovery->entries), deeper_first);
	return pass(recovery, S_IFDIR, finish_folder);
}

static enum kioku_status open_output(struct recovery *recovery)
{
	const struct kioku_recover_options *options = recovery->options;

	if (options->only_missing)
		return KIOKU_OK;
	return options->folder ? folder_output_open(&recovery->output, options->folder,
						    geteuid() == 0, recovery->error)
			       : tar_output_open(&recovery->output, options->tar, recovery->error);
}

static enum kioku_status recover(struct recovery *recovery)
{
	const struct binding *binding;

	TRY(record_bind(recovery->kernel, &inode_record, &binding, recovery->error));
	TRY(record_bind(recovery->kernel, &dentry_record, &binding, recovery->error));
	recovery->buffer = malloc(CONTENT_BUFFER);
	recovery->filesystems = calloc(FILESYSTEM_LIMIT, FILESYSTEM_ROOM);
	if (!recovery->buffer || !recovery->filesystems)
		return error_no_memory(recovery->error);
	TRY(open_output(recovery));
	TRY(superblock_each(recovery->kernel, recover_filesystem, recovery, recovery->error));
	return recovery->output.driver
		       ? recovery->output.driver->end(&recovery->output, recovery->error)
		       : KIOKU_OK;
}

enum kioku_status kioku_recover(struct kioku_kernel *kernel,
				const struct kioku_recover_options *options,
				struct kioku_recover_result *result, struct kioku_error *error)
{
	struct kioku_recover_options known = { 0 };
	AUTO_FREE struct recovery *recovery = calloc(1, sizeof(*recovery));

	*result = (struct kioku_recover_result){ 0 };
	if (!recovery)
		return error_no_memory(error);
	memcpy(&known, options, options->size < sizeof(known) ? options->size : sizeof(known));
	recovery->kernel = kernel;
	recovery->options = &known;
	recovery->result = result;
	recovery->error = error;
	recovery->filter = (struct file_filter){ .fstype = known.fstype, .path = known.path };
	enum kioku_status status = recover(recovery);
	recovery_release(recovery);
	return status == KIOKU_ERROR_STOPPED ? error_set(error, status, "stopped") : status;
}
