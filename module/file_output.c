// SPDX-License-Identifier: GPL-2.0-only
/* A dump to a file. */
#include <linux/bvec.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/kernel.h>
#include <linux/pagemap.h>
#include <linux/printk.h>
#include <linux/slab.h>
#include <linux/uio.h>

#include "compat.h"
#include "output.h"

/* What the page cache may hold of the image: it pushes out memory that is to be read yet. */
#define WINDOW (8 * 1024 * 1024)

struct file_state {
	struct output output;
	char *name; /* of the part */
	struct file *file;
	bool is_direct;
	loff_t position, flushed; /* in the part, bytes */
};

static struct file_state *state_of(struct output *output)
{
	return container_of(output, struct file_state, output);
}

static int file_open_output(struct output *output)
{
	return 0;
}

static int reopen(struct file_state *state, int flags)
{
	struct file *file = filp_open(state->name, O_WRONLY | O_LARGEFILE | flags, 0400);

	if (IS_ERR(file))
		return PTR_ERR(file);
	if (state->file)
		filp_close(state->file, NULL);
	state->file = file;
	state->is_direct = flags & O_DIRECT;
	return 0;
}

static int file_begin(struct output *output, const char *suffix)
{
	struct file_state *state = state_of(output);
	int status;

	kfree(state->name);
	state->name =
		kasprintf(GFP_KERNEL, "%s%s%s", output->settings->path, *suffix ? "." : "", suffix);
	if (!state->name)
		return -ENOMEM;
	state->position = state->flushed = 0;
	status = reopen(state, O_CREAT | O_TRUNC);
	if (status || !output->settings->direct || *suffix)
		return status;
	/* Only now, so that a file system that refuses it has not made the file already. */
	if (reopen(state, O_DIRECT) == 0)
		return 0;
	pr_info("%s: dio=1 is not possible here, so it goes through the page cache\n", state->name);
	return 0;
}

/* Not kernel_write(), which has no O_DIRECT, and refuses what also has a write() of its own. */
static ssize_t write_iter(struct file_state *state, struct iov_iter *iter)
{
	ssize_t got;

	compat_start_write(state->file);
	got = vfs_iter_write(state->file, iter, &state->position, 0);
	compat_end_write(state->file);
	return got;
}

static ssize_t write_cached(struct file_state *state, const void *data, size_t size)
{
	struct kvec vector = { .iov_base = (void *)data, .iov_len = size };
	struct iov_iter iter;

	iov_iter_kvec(&iter, COMPAT_ITER_SOURCE, &vector, 1, size);
	return write_iter(state, &iter);
}

static ssize_t write_direct(struct file_state *state, const void *data, size_t size)
{
	struct bio_vec vector = {
		.bv_page = virt_to_page(data),
		.bv_len = size,
		.bv_offset = offset_in_page(data),
	};
	struct iov_iter iter;

	iov_iter_bvec(&iter, COMPAT_ITER_SOURCE, &vector, 1, size);
	return write_iter(state, &iter);
}

static ssize_t write_some(struct file_state *state, const void *data, size_t size)
{
	ssize_t got;
	int status;

	if (!state->is_direct)
		return write_cached(state, data, size);
	/* Else it is the end of a part, or what a short write has left. */
	if (size % PAGE_SIZE == 0 && state->position % PAGE_SIZE == 0) {
		got = write_direct(state, data, size);
		if (got != -EINVAL)
			return got;
	}
	status = reopen(state, 0);
	return status ? status : write_cached(state, data, size);
}

/* Brings what was written before the last window to the disk, and out of the page cache. */
static int limit_cache(struct file_state *state)
{
	struct address_space *mapping = state->file->f_mapping;
	loff_t end = state->flushed + WINDOW;
	int status;

	if (state->is_direct || state->position < end + WINDOW)
		return 0;
	status = filemap_write_and_wait_range(mapping, state->flushed, end - 1);
	if (status)
		return status;
	invalidate_mapping_pages(mapping, state->flushed >> PAGE_SHIFT, (end >> PAGE_SHIFT) - 1);
	state->flushed = end;
	return filemap_fdatawrite_range(mapping, end, end + WINDOW - 1);
}

static int file_write(struct output *output, const void *data, size_t size)
{
	struct file_state *state = state_of(output);
	ssize_t got;

	while (size > 0) {
		got = write_some(state, data, size);
		if (got <= 0)
			return got < 0 ? got : -EIO;
		data += got;
		size -= got;
	}
	return limit_cache(state);
}

static int file_end(struct output *output)
{
	struct file_state *state = state_of(output);
	int status = vfs_fsync(state->file, 0);

	/* Pipes and some devices cannot. */
	if (status == -EINVAL)
		status = 0;
	if (status)
		return status;
	invalidate_mapping_pages(state->file->f_mapping, 0, -1);
	status = filp_close(state->file, NULL);
	state->file = NULL;
	return status;
}

static void file_close(struct output *output)
{
	struct file_state *state = state_of(output);

	if (state->file)
		filp_close(state->file, NULL);
	kfree(state->name);
}

const struct output_driver file_output = {
	.size = sizeof(struct file_state),
	.open = file_open_output,
	.begin = file_begin,
	.write = file_write,
	.end = file_end,
	.close = file_close,
};
