/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "capture/context.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

#include "base/cleanup.h"
#include "capture/archive.h"

enum {
	CHUNK = 256 << 10, /* what a file of /proc is read in; nearly all of them fit at once */
	SMALL = 4 << 20,   /* bounds on what is taken of a file */
	LARGE = 128 << 20,
	MODULE_LIMIT = 2048,
};

#define AUTO_DIRECTORY CLEANUP(cleanup_directory)

static void cleanup_directory(DIR **directory)
{
	if (*directory)
		closedir(*directory);
}

struct context {
	struct archive archive;
	int root; /* of the tree that the paths start from */
	uint8_t *chunk;
	const struct diagnostics *diagnostics;
};

static const struct {
	const char *name, *path; /* in the archive; below / */
	uint64_t limit;
} files[] = {
	{ "iomem", "proc/iomem", SMALL },
	{ "kallsyms", "proc/kallsyms", LARGE },
	{ "modules", "proc/modules", SMALL },
	{ "version", "proc/version", SMALL },
	{ "cmdline", "proc/cmdline", SMALL },
	{ "boot_id", "proc/sys/kernel/random/boot_id", SMALL },
	{ "hostname", "proc/sys/kernel/hostname", SMALL },
	{ "uptime", "proc/uptime", SMALL },
	{ "stat", "proc/stat", SMALL },
	{ "mountinfo", "proc/self/mountinfo", SMALL },
	{ "swaps", "proc/swaps", SMALL },
	{ "meminfo", "proc/meminfo", SMALL },
	{ "zoneinfo", "proc/zoneinfo", SMALL },
	{ "buddyinfo", "proc/buddyinfo", SMALL },
	{ "cpuinfo", "proc/cpuinfo", SMALL },
	{ "interrupts", "proc/interrupts", SMALL },
	{ "notes", "sys/kernel/notes", SMALL }, /* the build id */
	{ "config.gz", "proc/config.gz", SMALL },
	{ "os-release", "etc/os-release", SMALL },
};

/* As much as fits into size; fewer only at the end of the file. -1: an error, in errno. */
static ssize_t read_full(int descriptor, uint8_t *buffer, size_t size)
{
	size_t have = 0;

	while (have < size) {
		ssize_t got = read(descriptor, buffer + have, size - have);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -1;
		if (got == 0)
			break;
		have += (size_t)got;
	}
	return (ssize_t)have;
}

/* kptr_restrict shows every symbol at address 0. text begins with a line. */
static bool addresses_hidden(const uint8_t *text, size_t size)
{
	static const char hidden[] = "0000000000000000 ";
	enum { LENGTH = sizeof(hidden) - 1 };
	const uint8_t *end = text + size;

	while (end - text >= LENGTH) {
		if (memcmp(text, hidden, LENGTH) != 0)
			return false;
		const uint8_t *newline = memchr(text, '\n', (size_t)(end - text));
		text = newline ? newline + 1 : end;
	}
	return size > 0;
}

/*
 * Files of /proc tell no size, and tar wants it first: what does not fit into one chunk is read
 * twice, so that no memory is taken for it from the machine that is being preserved.
 */
static enum kioku_status measure(struct context *context, int descriptor, uint64_t limit,
				 uint64_t *size)
{
	ssize_t got;

	*size = CHUNK;
	do {
		got = read_full(descriptor, context->chunk, CHUNK);
		*size += got > 0 ? (uint64_t)got : 0;
	} while (got == CHUNK && *size < limit);
	*size = *size < limit ? *size : limit;
	return got < 0 ? KIOKU_ERROR_OS : KIOKU_OK;
}

static enum kioku_status copy_again(struct context *context, const char *name, int descriptor,
				    uint64_t size, struct kioku_error *error)
{
	while (size > 0) {
		size_t want = size < CHUNK ? (size_t)size : CHUNK;
		ssize_t got = read_full(descriptor, context->chunk, want);
		if (got < (ssize_t)want) {
			diagnose(context->diagnostics, KIOKU_NOTE,
				 "context: %s became shorter while it was read", name);
			got = got < 0 ? 0 : got;
			memset(context->chunk + got, '\n', want - (size_t)got);
		}
		TRY(archive_write(&context->archive, context->chunk, want, error));
		size -= want;
	}
	return KIOKU_OK;
}

static enum kioku_status add_bytes(struct context *context, const char *name, const void *data,
				   size_t size, struct kioku_error *error)
{
	TRY(archive_begin(&context->archive, name, size, (uint64_t)time(NULL), error));
	return archive_write(&context->archive, data, size, error);
}

static enum kioku_status add_large(struct context *context, const char *name, const char *path,
				   int descriptor, uint64_t limit, struct kioku_error *error)
{
	uint64_t size;
	enum kioku_status status = measure(context, descriptor, limit, &size);
	AUTO_CLOSE int again = openat(context->root, path, O_RDONLY | O_CLOEXEC);

	if (status != KIOKU_OK || again < 0) {
		diagnose(context->diagnostics, KIOKU_NOTE, "context: cannot read %s: %s", path,
			 strerror(errno));
		return KIOKU_OK;
	}
	if (size == limit)
		diagnose(context->diagnostics, KIOKU_NOTE, "context: %s was cut after %llu bytes",
			 name, (unsigned long long)size);
	TRY(archive_begin(&context->archive, name, size, (uint64_t)time(NULL), error));
	return copy_again(context, name, again, size, error);
}

/* What is not there, or may not be read, is left out: the image itself is what counts. */
static enum kioku_status add_file(struct context *context, const char *name, const char *path,
				  uint64_t limit, struct kioku_error *error)
{
	AUTO_CLOSE int descriptor = openat(context->root, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t got = descriptor < 0 ? -1 : read_full(descriptor, context->chunk, CHUNK);

	if (got < 0) {
		if (errno != ENOENT && errno != ENOTDIR)
			diagnose(context->diagnostics, KIOKU_NOTE, "context: cannot read %s: %s",
				 path, strerror(errno));
		return KIOKU_OK;
	}
	if (strcmp(name, "kallsyms") == 0 && addresses_hidden(context->chunk, (size_t)got))
		diagnose(context->diagnostics, KIOKU_NOTE,
			 "context: the kernel hides the addresses in kallsyms (kptr_restrict)");
	if (got == CHUNK)
		return add_large(context, name, path, descriptor, limit, error);
	return add_bytes(context, name, context->chunk, (size_t)got, error);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names in a folder, in their order, which folders themselves do not keep. */
static size_t list_folder(DIR *folder, char **names, size_t limit)
{
	size_t count = 0;

	for (struct dirent *entry; count < limit && (entry = readdir(folder));) {
		if (entry->d_name[0] == '.')
			continue;
		names[count] = strdup(entry->d_name);
		if (!names[count])
			break;
		count++;
	}
	qsort(names, count, sizeof(*names), by_name);
	return count;
}

/* The types of the kernel and of its modules. */
static enum kioku_status add_btf(struct context *context, struct kioku_error *error)
{
	static const char folder[] = "sys/kernel/btf";
	int descriptor = openat(context->root, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	AUTO_DIRECTORY DIR *directory = descriptor < 0 ? NULL : fdopendir(descriptor);
	AUTO_FREE char **names = calloc(MODULE_LIMIT, sizeof(*names));
	enum kioku_status status = KIOKU_OK;

	if (!names)
		return error_no_memory(error);
	size_t count = directory ? list_folder(directory, names, MODULE_LIMIT) : 0;
	for (size_t i = 0; i < count; i++) {
		char name[ARCHIVE_NAME_LIMIT], path[sizeof(folder) + ARCHIVE_NAME_LIMIT];
		int length = snprintf(name, sizeof(name), "btf/%s", names[i]);
		snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
		if (status == KIOKU_OK && length < (int)sizeof(name))
			status = add_file(context, name, path, LARGE, error);
		free(names[i]);
	}
	return status;
}

static enum kioku_status add_all(struct context *context, const char *vmcoreinfo,
				 size_t vmcoreinfo_size, struct kioku_error *error)
{
	struct utsname system = { 0 };
	char path[sizeof(system.release) + 16];

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		TRY(add_file(context, files[i].name, files[i].path, files[i].limit, error));
	if (uname(&system) == 0) {
		snprintf(path, sizeof(path), "boot/config-%s", system.release);
		TRY(add_file(context, "config", path, SMALL, error));
	}
	if (vmcoreinfo)
		TRY(add_bytes(context, "vmcoreinfo", vmcoreinfo, vmcoreinfo_size, error));
	return add_btf(context, error);
}

enum kioku_status context_write_from(const char *root, struct destination *destination,
				     const char *name, const char *vmcoreinfo,
				     size_t vmcoreinfo_size, const struct diagnostics *diagnostics,
				     struct manifest_file *out, struct kioku_error *error)
{
	AUTO_CLOSE int folder = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	AUTO_FREE uint8_t *chunk = malloc(CHUNK);
	AUTO_FREE struct context *context = malloc(sizeof(*context));

	if (folder < 0)
		return error_os(error, "cannot open %s", root);
	if (!chunk || !context)
		return error_no_memory(error);
	context->root = folder;
	context->chunk = chunk;
	context->diagnostics = diagnostics;

	enum kioku_status status = archive_create(&context->archive, destination, name, error);
	if (status == KIOKU_OK)
		status = add_all(context, vmcoreinfo, vmcoreinfo_size, error);
	if (status == KIOKU_OK)
		status = archive_finish(&context->archive, out, error);
	archive_release(&context->archive);
	return status;
}

enum kioku_status context_write(struct destination *destination, const char *name,
				const struct kioku_source *source,
				const struct diagnostics *diagnostics, struct manifest_file *out,
				struct kioku_error *error)
{
	size_t size = 0;
	const char *vmcoreinfo = kioku_source_vmcoreinfo(source, &size);

	return context_write_from("/", destination, name, vmcoreinfo, size, diagnostics, out,
				  error);
}
