/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "snapshot/process_memory.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "source/driver.h"
#include "source/made_source.h"

static enum kioku_status fail(struct kioku_error *error, uint64_t address)
{
	enum kioku_status status = error_os(error, "read");

	if (error)
		error->address = address;
	return status;
}

/* Never by process_vm_readv(2), which gives a duplicate pages of its own as it reads them. */
static enum kioku_status read_memory(int descriptor, uint64_t address, uint8_t *out, size_t size,
				     struct kioku_error *error)
{
	for (size_t done = 0; done < size;) {
		ssize_t got = pread(descriptor, out + done, size - done, (off_t)(address + done));
		if (got > 0)
			done += (size_t)got;
		else if (got == 0)
			return error_at(error, KIOKU_ERROR_ABSENT, address + done,
					"the process has no memory any more");
		else if (errno != EINTR)
			return fail(error, address + done);
	}
	return KIOKU_OK;
}

/* Pages of a mapping that it had not written to. Behind a file's end, the last page is zero. */
static enum kioku_status read_untouched(const struct process_memory *memory,
					const struct mapping *mapping, uint64_t address,
					uint8_t *out, size_t size, struct kioku_error *error)
{
	const struct mapped_file *file = mapped_files_find(memory->files, mapping);
	uint64_t offset = address - mapping->start + mapping->file_offset;

	memset(out, 0, size);
	if (!file && mapping->inode == 0 && !mapping->is_shared)
		return KIOKU_OK;
	if (!file || file->descriptor < 0)
		return error_at(error, KIOKU_ERROR_ABSENT, address, "its file is not to be had");
	for (size_t done = 0; done < size;) {
		ssize_t got =
			pread(file->descriptor, out + done, size - done, (off_t)(offset + done));
		if (got == 0)
			break;
		if (got < 0 && errno != EINTR)
			return fail(error, address + done);
		done += got > 0 ? (size_t)got : 0;
	}
	return KIOKU_OK;
}

static enum kioku_status read_copies(const struct process_memory *memory, uint64_t address,
				     uint8_t *out, size_t size, struct kioku_error *error)
{
	for (size_t done = 0; done < size;) {
		uint64_t at = address + done, page = at - at % SPOOL_PAGE;
		/* A duplicate need not have a mapping that was copied. */
		const struct mapping *mapping = mapping_list_find(memory->mappings, at);
		uint64_t end = mapping ? mapping->end : page + SPOOL_PAGE;
		struct spool_run run = spool_next(memory->spool, page, end);
		uint64_t known = run.size - (at - page);
		size_t part = size - done < known ? size - done : (size_t)known;
		if (run.content)
			memcpy(out + done, run.content + (at - page), part);
		else if (run.state == SPOOL_LOST || !mapping)
			return error_at(error, KIOKU_ERROR_ABSENT, at, "no copy of it was made");
		else
			TRY(read_untouched(memory, mapping, at, out + done, part, error));
		done += part;
	}
	return KIOKU_OK;
}

enum kioku_status process_memory_read(const struct process_memory *memory, uint64_t address,
				      uint64_t offset, void *buffer, size_t size,
				      struct kioku_error *error)
{
	if (offset & LAYOUT_COPIED)
		return read_copies(memory, address, buffer, size, error);
	return read_memory(offset & LAYOUT_LIVE ? memory->target : memory->held, address, buffer,
			   size, error);
}

static enum kioku_status read_access(void *access, uint64_t address, uint64_t offset, void *buffer,
				     size_t size, struct kioku_error *error)
{
	return process_memory_read(access, address, offset, buffer, size, error);
}

/* Descriptors without a position: any number of threads may use them. */
static const struct source_access memory_access = {
	.open = made_access_open,
	.close = made_access_close,
	.read = read_access,
	.states = made_access_states,
};

const struct source_driver process_source = {
	.name = "process",
	.help = "process",
	.access = &memory_access,
};
