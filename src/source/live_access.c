/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reading the memory of the machine this runs on, and what its kernel says of single pages. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#include "base/error.h"
#include "source/channel.h"
#include "source/live_driver.h"

/* include/uapi/linux/kernel-page-flags.h; OFFLINE was BALLOON, with the same bit, before 5.0. */
#define KPF_HWPOISON  (1ull << 19)
#define KPF_NOPAGE    (1ull << 20)
#define KPF_OFFLINE   (1ull << 23)

#define FLAGS_AT_ONCE 512

struct access {
	int memory, mem, kpageflags; /* -1: not there, or not needed */
	size_t page_size;
	bool reads_pages;
};

enum kioku_status live_read_at(int descriptor, uint64_t offset, void *buffer, size_t size,
			       struct kioku_error *error)
{
	for (size_t done = 0; done < size;) {
		ssize_t got = pread(descriptor, (uint8_t *)buffer + done, size - done,
				    (off_t)(offset + done));
		if (got > 0)
			done += (size_t)got;
		else if (got == 0)
			return error_set(error, KIOKU_ERROR_ABSENT, "it ends at file offset 0x%llx",
					 (unsigned long long)(offset + done));
		else if (errno == EFAULT)
			return error_set(error, KIOKU_ERROR_ABSENT,
					 "there is no memory at file offset 0x%llx",
					 (unsigned long long)(offset + done));
		else if (errno != EINTR)
			return error_os(error, "read at file offset 0x%llx",
					(unsigned long long)(offset + done));
	}
	return KIOKU_OK;
}

enum kioku_status live_read_mapped(int descriptor, size_t page_size, uint64_t physical,
				   void *buffer, size_t size, struct kioku_error *error)
{
	size_t skipped = physical & (page_size - 1);
	const uint8_t *page = mmap(NULL, skipped + size, PROT_READ, MAP_SHARED, descriptor,
				   (off_t)(physical - skipped));

	if (page == MAP_FAILED)
		return error_os(error, "mmap of physical address 0x%llx",
				(unsigned long long)physical);
	if (buffer)
		memcpy(buffer, page + skipped, size);
	munmap((void *)page, skipped + size);
	return KIOKU_OK;
}

static void close_access(void *state)
{
	struct access *access = state;

	if (!access)
		return;
	cleanup_close(&access->memory);
	cleanup_close(&access->mem);
	cleanup_close(&access->kpageflags);
	free(access);
}

DEFINE_CLEANUP(access, struct access, close_access)

/*
 * kcore's file offsets depend on how many segments there are (elf_kcore_store_hdr() in
 * fs/proc/kcore.c puts memory behind the headers), and opening it brings these up to date.
 */
static enum kioku_status check_headers(const struct live *live, const struct access *access,
				       struct kioku_error *error)
{
	AUTO_FREE uint8_t *now = malloc(live->headers_size + 1);

	if (!now)
		return error_no_memory(error);
	if (live_read_at(access->memory, 0, now, live->headers_size, error) != KIOKU_OK ||
	    memcmp(now, live->headers, live->headers_size) != 0)
		return error_set(error, KIOKU_ERROR_UNSUPPORTED,
				 "memory was added to the machine, or taken away, since it was "
				 "opened; open it again");
	return KIOKU_OK;
}

static enum kioku_status open_access(const struct kioku_source *source, void **out,
				     struct kioku_error *error)
{
	const struct live *live = source->state;
	CLEANUP(cleanup_access) struct access *access = malloc(sizeof(*access));

	*out = NULL;
	if (!access)
		return error_no_memory(error);
	*access = (struct access){ -1, -1, -1, live->page_size, live->reads_pages };
	TRY(live_open_file(live, live->memory_path, &access->memory, error));
	if (live->headers)
		TRY(check_headers(live, access, error));
	if (live->has_mapped)
		TRY(live_open_file(live, live->paths->mem, &access->mem, error));
	access->kpageflags = open(live->paths->kpageflags, O_RDONLY | O_CLOEXEC);
	*out = TAKE(access);
	return KIOKU_OK;
}

static enum kioku_status read_some(const struct access *access, uint64_t offset, void *buffer,
				   size_t size, struct kioku_error *error)
{
	if (offset & LIVE_MAPPED)
		return live_read_mapped(access->mem, access->page_size, offset & ~LIVE_MAPPED,
					buffer, size, error);
	return live_read_at(access->memory, offset, buffer, size, error);
}

static enum kioku_status read_memory(void *state, uint64_t physical, uint64_t offset, void *buffer,
				     size_t size, struct kioku_error *error)
{
	const struct access *access = state;

	for (size_t done = 0, part; done < size; done += part) {
		size_t in_page = access->page_size - ((offset + done) & (access->page_size - 1));
		part = size - done;
		if (access->reads_pages && part > in_page)
			part = in_page;
		enum kioku_status status =
			read_some(access, offset + done, (uint8_t *)buffer + done, part, error);
		if (status == KIOKU_OK)
			continue;
		error_prefix(error, "physical address 0x%llx",
			     (unsigned long long)(physical + done));
		if (error)
			error->address = physical + done;
		return status;
	}
	return KIOKU_OK;
}

/*
 * NOPAGE is memory whose section is offline: since 5.14 kcore gives zeros for it, as for OFFLINE
 * pages (which a balloon or virtio-mem has taken) and HWPOISON ones (read_kcore_iter() in
 * fs/proc/kcore.c, stable_page_flags() in fs/proc/page.c). Earlier kernels touch them. A page that
 * is RAM in part has a struct page, as its whole section has (get_max_dump_pfn()).
 */
static enum page_state state_of(uint64_t flags)
{
	if (flags & KPF_HWPOISON)
		return PAGE_POISONED;
	return flags & (KPF_NOPAGE | KPF_OFFLINE) ? PAGE_OFFLINE : PAGE_READ;
}

/* Flags of count pages; none behind the last that the kernel knows. */
static bool read_flags(int descriptor, uint64_t page, size_t count, uint64_t *flags)
{
	ssize_t got =
		pread(descriptor, flags, count * sizeof(*flags), (off_t)(page * sizeof(*flags)));

	if (got < 0)
		return false;
	memset((uint8_t *)flags + got, 0, count * sizeof(*flags) - (size_t)got);
	return true;
}

static bool find_states(void *state, uint64_t physical, size_t count, uint8_t *states)
{
	const struct access *access = state;
	uint64_t flags[FLAGS_AT_ONCE], first = 0, known = 0;

	if (access->kpageflags < 0)
		return false;
	for (size_t i = 0; i < count; i++) {
		/* A page of the machine may be several of ours. */
		uint64_t page = (physical + i * CAPTURE_PAGE) / access->page_size;
		size_t wanted = count - i < FLAGS_AT_ONCE ? count - i : FLAGS_AT_ONCE;
		if (i == 0 || page - first >= known) {
			if (!read_flags(access->kpageflags, page, wanted, flags))
				return false;
			first = page;
			known = wanted;
		}
		states[i] = (uint8_t)state_of(flags[page - first]);
	}
	return true;
}

uint64_t live_offline_run(const struct live *live, uint64_t physical, uint64_t size, bool *offline)
{
	AUTO_CLOSE int descriptor = open(live->paths->kpageflags, O_RDONLY | O_CLOEXEC);
	struct access access = { .kpageflags = descriptor, .page_size = live->page_size };
	uint64_t first = physical / CAPTURE_PAGE, last = (physical + size - 1) / CAPTURE_PAGE;
	uint8_t states[FLAGS_AT_ONCE];

	*offline = false;
	for (uint64_t page = first; page <= last; page++) {
		size_t index = (page - first) % FLAGS_AT_ONCE;
		size_t count = last - page < FLAGS_AT_ONCE ? last - page + 1 : FLAGS_AT_ONCE;
		if (index == 0 && !find_states(&access, page * CAPTURE_PAGE, count, states))
			break;
		if (page == first)
			*offline = states[0] == PAGE_OFFLINE;
		if ((states[index] == PAGE_OFFLINE) != *offline)
			return page * CAPTURE_PAGE - physical;
	}
	return size;
}

/* What the manifest beside an image says. */
static uint64_t recorded_run(const struct kioku_source *source, uint64_t physical, uint64_t size,
			     enum page_state *state)
{
	size_t next = range_map_after(&source->states, physical);
	uint64_t end = physical + size;

	if (next == source->states.count)
		return size;
	const struct extent *extent = &source->states.extents[next];
	bool is_known = extent->start <= physical;
	uint64_t stop = is_known ? extent->start + extent->size : extent->start;
	if (is_known)
		*state = (enum page_state)extent->kind;
	return (stop < end ? stop : end) - physical;
}

uint64_t source_absent_run(const struct kioku_source *source, uint64_t physical, uint64_t size,
			   enum page_state *state)
{
	bool offline = false;

	*state = PAGE_MISSING;
	if (!kioku_source_is_live(source))
		return recorded_run(source, physical, size, state);
	uint64_t run = live_offline_run(source->state, physical, size, &offline);
	if (offline)
		*state = PAGE_OFFLINE;
	return run;
}

const struct source_access live_access = {
	.open = open_access,
	.close = close_access,
	.read = read_memory,
	.states = find_states,
};
