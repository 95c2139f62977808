/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "source/qemu_files.h"

#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"

#define PAGE        4096u
#define COMPARISONS 8u /* pages of each file */

/* A backend's file. */
struct backend {
	const char *name;
	size_t name_size;
	uint64_t offset; /* of its memory in the file */
	uint64_t size;   /* bytes of the file up to the end of what the machine uses of it */
};

/* --- what QEMU says of a backend */

static enum kioku_status get(struct qmp_client *client, const struct backend *backend,
			     const char *property, struct json_object **out,
			     struct kioku_error *error)
{
	struct json_object *arguments = json_object_new_object();
	AUTO_FREE char *path = NULL;

	if (asprintf(&path, "/objects/%.*s", (int)backend->name_size, backend->name) < 0)
		return error_no_memory(error);
	json_object_object_add(arguments, "path", json_object_new_string(path));
	json_object_object_add(arguments, "property", json_object_new_string(property));
	return qmp_client_run(client, "qom-get", arguments, -1, out, error);
}

static enum kioku_status is_shared(struct qmp_client *client, const struct backend *backend,
				   bool *shared, struct kioku_error *error)
{
	struct json_object *value = NULL;

	TRY(get(client, backend, "share", &value, error));
	*shared = json_object_get_boolean(value);
	json_object_put(value);
	return KIOKU_OK;
}

/* The path of its file, for the caller to free. */
static enum kioku_status find_path(struct qmp_client *client, const struct backend *backend,
				   char **out, struct kioku_error *error)
{
	struct json_object *value = NULL;
	enum kioku_status status = get(client, backend, "mem-path", &value, NULL);

	if (status == KIOKU_ERROR_UNSUPPORTED || !json_object_is_type(value, json_type_string))
		status = error_set(error, KIOKU_ERROR_UNSUPPORTED, "it is in no file with a name");
	else if (!(*out = strdup(json_object_get_string(value))))
		status = error_no_memory(error);
	else if (**out != '/')
		status = error_set(error, KIOKU_ERROR_UNSUPPORTED,
				   "the path of its file begins where QEMU runs");
	json_object_put(value);
	return status;
}

/* Since 8.1 a backend may begin inside its file. */
static void find_offset(struct qmp_client *client, struct backend *backend)
{
	struct json_object *value = NULL;

	if (get(client, backend, "offset", &value, NULL) != KIOKU_OK)
		return;
	int64_t offset = json_object_get_int64(value);
	if (offset > 0)
		backend->offset = (uint64_t)offset;
	json_object_put(value);
}

static enum kioku_status open_file(const struct backend *backend, const char *path, int *out,
				   struct kioku_error *error)
{
	struct stat status;

	*out = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (*out < 0 || fstat(*out, &status) != 0)
		return error_set(error, KIOKU_ERROR_UNSUPPORTED, "its file %s cannot be opened: %s",
				 path, strerror(errno));
	if (S_ISDIR(status.st_mode))
		return error_set(error, KIOKU_ERROR_UNSUPPORTED,
				 "its file in %s has no name any more", path);
	off_t end = lseek(*out, 0, SEEK_END);
	if (end < 0 || (uint64_t)end < backend->size)
		return error_set(error, KIOKU_ERROR_UNSUPPORTED,
				 "its file %s is shorter than the memory", path);
	return KIOKU_OK;
}

static enum kioku_status open_backend(struct qmp_client *client, struct backend *backend, int *out,
				      struct kioku_error *error)
{
	AUTO_FREE char *path = NULL;
	bool shared = false;
	enum kioku_status status = is_shared(client, backend, &shared, error);

	if (status == KIOKU_OK && !shared)
		status = error_set(error, KIOKU_ERROR_UNSUPPORTED, "QEMU shares it with nobody");
	if (status == KIOKU_OK)
		status = find_path(client, backend, &path, error);
	if (status == KIOKU_OK) {
		find_offset(client, backend);
		backend->size += backend->offset;
		status = open_file(backend, path, out, error);
	}
	if (status == KIOKU_ERROR_UNSUPPORTED)
		error_prefix(error, "%.*s", (int)backend->name_size, backend->name);
	return status;
}

/* --- files as one */

struct files {
	struct backend *backends;
	struct image_part *parts;
	size_t count;
};

static void release_files(struct files *files)
{
	for (size_t i = 0; i < files->count; i++)
		cleanup_close(&files->parts[i].descriptor);
	free(files->backends);
	free(files->parts);
}

/* What the machine uses of each backend. */
static enum kioku_status measure(const struct qemu_machine *machine, struct files *files,
				 struct kioku_error *error)
{
	files->backends = calloc(machine->backend_count + 1, sizeof(*files->backends));
	files->parts = calloc(machine->backend_count + 1, sizeof(*files->parts));
	if (!files->backends || !files->parts)
		return error_no_memory(error);
	files->count = machine->backend_count;
	for (size_t i = 0; i < files->count; i++) {
		files->backends[i].name = (const char *)machine->backends[i].data;
		files->backends[i].name_size = machine->backends[i].size;
		files->parts[i].descriptor = -1;
	}
	for (size_t i = 0; i < machine->ram_count; i++) {
		const struct monitor_region *region = &machine->ram[i];
		struct backend *backend = &files->backends[qemu_machine_backend(machine, region)];
		if (region->offset > INT64_MAX / 2 || region->size > INT64_MAX / 2)
			return error_set(error, KIOKU_ERROR_CORRUPT,
					 "a region is larger than any file");
		if (region->offset + region->size > backend->size)
			backend->size = region->offset + region->size;
	}
	return KIOKU_OK;
}

static enum kioku_status open_files(struct qmp_client *client, struct files *files,
				    struct kioku_error *error)
{
	for (size_t i = 0; i < files->count; i++) {
		if (files->backends[i].size == 0)
			continue;
		TRY(open_backend(client, &files->backends[i], &files->parts[i].descriptor, error));
		files->parts[i].size = files->backends[i].size;
	}
	return KIOKU_OK;
}

/* A single file is used as images are, which is faster where it has holes. */
static enum kioku_status map_files(struct kioku_source *source, struct files *files,
				   struct kioku_error *error)
{
	size_t used = 0, last = 0;
	AUTO_FREE struct image_part *parts = calloc(files->count + 1, sizeof(*parts));

	if (!parts)
		return error_no_memory(error);
	for (size_t i = 0; i < files->count; i++)
		if (files->parts[i].size > 0)
			parts[used++] = files->parts[last = i];
	if (used == 1) {
		source->descriptor = files->parts[last].descriptor;
		files->parts[last].descriptor = -1;
		return image_file_map(&source->file, source->descriptor, &source->touched, error);
	}
	TRY(image_file_map_parts(&source->file, parts, used, &source->touched, error));
	for (size_t i = files->count; i-- > 0;)
		if (files->parts[i].size > 0)
			files->parts[i].position = parts[--used].position;
	return KIOKU_OK;
}

enum kioku_status qemu_files_map(struct kioku_source *source, const struct qemu_machine *machine,
				 struct qmp_client *client, struct kioku_error *error)
{
	CLEANUP(range_map_release) struct range_map map = { 0 };
	CLEANUP(release_files) struct files files = { 0 };

	TRY(measure(machine, &files, error));
	TRY(open_files(client, &files, error));
	TRY(map_files(source, &files, error));
	for (size_t i = 0; i < machine->ram_count; i++) {
		const struct monitor_region *region = &machine->ram[i];
		size_t backend = qemu_machine_backend(machine, region);
		uint64_t offset = files.parts[backend].position + files.backends[backend].offset +
				  region->offset;
		if (!source_add_extent(source, &map, region->start, region->size, offset))
			return error_no_memory(error);
	}
	return source_add_layout(source, &map, error);
}

/* --- whether they are the ones */

/* A page that is the same before and after, but not in between, is not QEMU's. */
static enum kioku_status compare(struct kioku_source *source, struct qemu_memory *memory,
				 uint64_t physical, struct kioku_error *error)
{
	uint8_t before[PAGE], between[PAGE], after[PAGE];
	struct remote_read read = { .physical = physical, .buffer = between, .size = PAGE };

	TRY(source_read(source, physical, before, PAGE, error));
	qemu_memory_read(memory, &read, 1);
	if (read.status != KIOKU_OK)
		return error_set(error, KIOKU_ERROR_UNSUPPORTED, "%s", read.problem);
	TRY(source_read(source, physical, after, PAGE, error));
	if (memcmp(before, after, PAGE) == 0 && memcmp(before, between, PAGE) != 0)
		return error_at(error, KIOKU_ERROR_REFUSED, physical,
				"physical address 0x%llx: the file that QEMU names holds something "
				"else than its machine",
				(unsigned long long)physical);
	return KIOKU_OK;
}

enum kioku_status qemu_files_check(struct kioku_source *source, const struct qemu_machine *machine,
				   struct qemu_memory *memory, struct kioku_error *error)
{
	for (size_t i = 0; i < machine->ram_count; i++) {
		const struct monitor_region *region = &machine->ram[i];
		uint64_t first = (region->start + PAGE - 1) & ~(uint64_t)(PAGE - 1);
		uint64_t step = region->size / COMPARISONS & ~(uint64_t)(PAGE - 1);
		for (unsigned j = 0; j < COMPARISONS && (j == 0 || step > 0); j++) {
			uint64_t at = first + j * step;
			if (at + PAGE <= region->start + region->size)
				TRY(compare(source, memory, at, error));
		}
	}
	return KIOKU_OK;
}
