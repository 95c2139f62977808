/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* /dev/crash and /dev/mem: files that are physical memory, byte by byte. */
#include <errno.h>

#include "base/error.h"
#include "source/live_driver.h"

static enum kioku_status add_all(struct kioku_source *source, const char *path,
				 struct kioku_error *error)
{
	struct live *live = source->state;
	CLEANUP(range_map_release) struct range_map map = { 0 };

	live->memory_path = path;
	for (size_t i = 0; i < live->ram.count; i++)
		if (!source_add_range(source, &map, live->ram.extents[i]))
			return error_no_memory(error);
	TRY(live_access.open(source, &source->access, error));
	return source_add_layout(source, &map, error);
}

/* crash's memory driver refuses reads across pages (crash_read() in its memory_driver/crash.c). */
static enum kioku_status open_devcrash(struct kioku_source *source,
				       const struct kioku_source_options *options,
				       struct kioku_error *error)
{
	struct live *live = source->state;

	live->reads_pages = true;
	return add_all(source, live->paths->crash, error);
}

/* A page of RAM that a CONFIG_STRICT_DEVMEM kernel would not give out. */
static bool find_probe(const struct live *live, uint64_t *out)
{
	size_t index = range_map_after(&live->ram, 1u << 20);

	if (index == live->ram.count)
		return false;
	uint64_t start = live->ram.extents[index].start;
	*out = start > 1u << 20 ? start : 1u << 20;
	return true;
}

/*
 * With CONFIG_STRICT_DEVMEM read() gives zeros for RAM in the first MiB and refuses all other
 * (devmem_is_allowed() in arch/x86/mm/init.c), so that one page tells.
 */
static enum kioku_status open_devmem(struct kioku_source *source,
				     const struct kioku_source_options *options,
				     struct kioku_error *error)
{
	struct live *live = source->state;
	AUTO_CLOSE int descriptor = -1;
	struct kioku_error reason;
	uint64_t probe;
	uint8_t byte;

	TRY(live_open_file(live, live->paths->mem, &descriptor, error));
	if (!find_probe(live, &probe))
		return error_set(error, KIOKU_ERROR_UNSUPPORTED,
				 "there is no RAM above 1 MiB to try it with");
	enum kioku_status status = live_read_at(descriptor, probe, &byte, 1, &reason);
	if (status == KIOKU_ERROR_OS && reason.os_errno == EPERM)
		return error_set(error, KIOKU_ERROR_UNSUPPORTED,
				 "%s does not give out RAM (CONFIG_STRICT_DEVMEM)",
				 live->paths->mem);
	if (status != KIOKU_OK)
		return error_set(error, status, "cannot read %s: %s", live->paths->mem,
				 reason.message);
	return add_all(source, live->paths->mem, error);
}

const struct source_driver devcrash_source = {
	.name = "devcrash",
	.help = "live machine",
	.open = open_devcrash,
	.access = &live_access,
	.close = live_close,
};

const struct source_driver devmem_source = {
	.name = "devmem",
	.help = "live machine",
	.open = open_devmem,
	.access = &live_access,
	.close = live_close,
};
