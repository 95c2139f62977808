/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* /dev/kioku, which our kernel module (module/) offers when it is loaded without path=. */
#include <errno.h>
#include <sys/ioctl.h>

#include "base/error.h"
#include "base/page_state.h"
#include "format/module_device.h"
#include "source/live_driver.h"

/* No machine has more ranges of RAM; a module that says so is not believed. */
#define RANGE_LIMIT    65536u

#define STATES_AT_ONCE 512u

struct access {
	int descriptor;
	uint32_t page_size;
};

/* --- reading */

static enum kioku_status open_device(const struct live *live, struct access *access,
				     struct kioku_error *error)
{
	const char *path = live->paths->module;
	struct kioku_device_info info;

	TRY(live_open_file(live, path, &access->descriptor, error));
	if (ioctl(access->descriptor, KIOKU_DEVICE_INFO, &info) != 0)
		return error_os(error, "%s is not kioku.ko's", path);
	if (info.version != KIOKU_DEVICE_VERSION)
		return error_set(error, KIOKU_ERROR_UNSUPPORTED,
				 "%s is of a kioku.ko that speaks version %u, not %u", path,
				 info.version, KIOKU_DEVICE_VERSION);
	if (info.page_size < CAPTURE_PAGE || info.page_size % CAPTURE_PAGE)
		return error_set(error, KIOKU_ERROR_CORRUPT, "%s has pages of %u bytes", path,
				 info.page_size);
	access->page_size = info.page_size;
	return KIOKU_OK;
}

static void close_access(void *state)
{
	struct access *access = state;

	if (!access)
		return;
	cleanup_close(&access->descriptor);
	free(access);
}

DEFINE_CLEANUP(access, struct access, close_access)

static enum kioku_status open_access(const struct kioku_source *source, void **out,
				     struct kioku_error *error)
{
	CLEANUP(cleanup_access) struct access *access = malloc(sizeof(*access));

	*out = NULL;
	if (!access)
		return error_no_memory(error);
	*access = (struct access){ .descriptor = -1 };
	TRY(open_device(source->state, access, error));
	*out = TAKE(access);
	return KIOKU_OK;
}

static enum kioku_status fail_at(uint64_t physical, ssize_t got, struct kioku_error *error)
{
	if (error)
		error->address = physical;
	if (got < 0 && errno != EFAULT)
		return error_os(error, "read at physical address 0x%llx",
				(unsigned long long)physical);
	return error_set(error, KIOKU_ERROR_ABSENT,
			 "the kernel module cannot read physical address 0x%llx",
			 (unsigned long long)physical);
}

/* A read ends before the first page that cannot be had, so that the next one fails at it. */
static enum kioku_status read_memory(void *state, uint64_t physical, uint64_t offset, void *buffer,
				     size_t size, struct kioku_error *error)
{
	const struct access *access = state;

	for (size_t done = 0; done < size;) {
		ssize_t got = pread(access->descriptor, (uint8_t *)buffer + done, size - done,
				    (off_t)(offset + done));
		if (got > 0)
			done += (size_t)got;
		else if (got == 0 || errno != EINTR)
			return fail_at(physical + done, got, error);
	}
	return KIOKU_OK;
}

/* What a confidential guest has never accepted has no content, as what a balloon took has none. */
static enum page_state state_of(uint8_t state)
{
	switch (state) {
	case KIOKU_PAGE_READABLE: return PAGE_READ;
	case KIOKU_PAGE_OFFLINE:
	case KIOKU_PAGE_UNACCEPTED: return PAGE_OFFLINE;
	case KIOKU_PAGE_POISONED: return PAGE_POISONED;
	default: return PAGE_MISSING;
	}
}

static bool find_states(void *state, uint64_t physical, size_t count, uint8_t *states)
{
	const struct access *access = state;
	uint64_t ratio = access->page_size / CAPTURE_PAGE, first = physical / CAPTURE_PAGE;
	uint8_t found[STATES_AT_ONCE];

	for (size_t done = 0, part; done < count; done += part) {
		uint64_t page = (first + done) / ratio, skipped = (first + done) % ratio;
		part = STATES_AT_ONCE * ratio - skipped;
		part = count - done < part ? count - done : part;
		struct kioku_device_states request = {
			.physical = page * access->page_size,
			.states = (uintptr_t)found,
			.count = (uint32_t)((skipped + part + ratio - 1) / ratio),
		};
		if (ioctl(access->descriptor, KIOKU_DEVICE_STATES, &request) != 0)
			return false;
		for (size_t i = 0; i < part; i++)
			states[done + i] = (uint8_t)state_of(found[(skipped + i) / ratio]);
	}
	return true;
}

static const struct source_access module_access = {
	.open = open_access,
	.close = close_access,
	.read = read_memory,
	.states = find_states,
};

/* --- opening */

/* All of them; allocated. */
static enum kioku_status read_ranges(const struct access *access, struct kioku_device_range **out,
				     uint32_t *count, struct kioku_error *error)
{
	AUTO_FREE struct kioku_device_range *ranges = NULL;
	struct kioku_device_ranges request = { .capacity = 64 };

	/* Memory may be added between two questions. */
	for (;;) {
		struct kioku_device_range *more =
			reallocarray(ranges, request.capacity, sizeof(*ranges));
		if (!more)
			return error_no_memory(error);
		ranges = more;
		request.ranges = (uintptr_t)ranges;
		if (ioctl(access->descriptor, KIOKU_DEVICE_RANGES, &request) != 0)
			return error_os(error, "cannot ask for the ranges of RAM");
		if (request.count <= request.capacity)
			break;
		if (request.count > RANGE_LIMIT)
			return error_set(error, KIOKU_ERROR_CORRUPT,
					 "it says that RAM has %u ranges", request.count);
		request.capacity = request.count;
	}
	*count = request.count;
	*out = TAKE(ranges);
	return KIOKU_OK;
}

static enum kioku_status add_ranges(struct kioku_source *source, struct range_map *map,
				    struct kioku_error *error)
{
	AUTO_FREE struct kioku_device_range *ranges = NULL;
	uint32_t count = 0;

	TRY(read_ranges(source->access, &ranges, &count, error));
	for (uint32_t i = 0; i < count; i++) {
		struct extent extent = { ranges[i].start, ranges[i].last - ranges[i].start + 1,
					 ranges[i].start, KIOKU_RANGE_PRESENT };
		if (ranges[i].last < ranges[i].start)
			return error_set(error, KIOKU_ERROR_CORRUPT,
					 "it has a range that ends before it starts");
		if (!source_add_range(source, map, extent))
			return error_no_memory(error);
	}
	return map->count ? KIOKU_OK : error_set(error, KIOKU_ERROR_UNSUPPORTED, "it shows no RAM");
}

static enum kioku_status open_module(struct kioku_source *source,
				     const struct kioku_source_options *options,
				     struct kioku_error *error)
{
	CLEANUP(range_map_release) struct range_map map = { 0 };

	TRY(open_access(source, &source->access, error));
	enum kioku_status status = add_ranges(source, &map, error);
	if (status == KIOKU_OK)
		return source_add_layout(source, &map, error);
	/* The next driver's access is another. */
	close_access(TAKE(source->access));
	return status;
}

const struct source_driver module_source = {
	.name = "module",
	.help = "live machine",
	.open = open_module,
	.access = &module_access,
	.close = live_close,
};
