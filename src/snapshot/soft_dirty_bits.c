/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "snapshot/soft_dirty_bits.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "snapshot/pagemap_entry.h"
#include "snapshot/tracking.h"
#include "snapshot/wait.h"

static const char clear_all[] = "4"; /* of clear_refs: the soft-dirty bits */

int soft_dirty_open_bits(const struct process *process)
{
	char path[PROCESS_STRING_SIZE];

	process_live_path(process, "clear_refs", path);
	return openat(process->folder, path, O_WRONLY | O_CLOEXEC);
}

bool soft_dirty_clear_bits(int clear)
{
	return pwrite(clear, clear_all, 1, 0) == 1;
}

/* Of a page of our own; 0: there is none. */
static uint64_t own_entry(int pagemap, volatile const uint8_t *page)
{
	uint64_t entry;

	return pagemap_read_one(pagemap, (uintptr_t)page, &entry) ? entry : 0;
}

static bool is_written(int pagemap, volatile const uint8_t *page)
{
	return own_entry(pagemap, page) & ENTRY_SOFT_DIRTY;
}

/*
 * A write sets the bit, also after the page could not be written to for a while: there were kernels that let it be
 * written to from then on without a word (can_change_pte_writable(), mm/mprotect.c, Linux 5.19).
 */
static bool bits_tell(int pagemap, int clear, volatile uint8_t *page)
{
	page[0] = 1;
	if (!is_written(pagemap, page) || !(own_entry(pagemap, page) & ENTRY_FRAME))
		return false;
	if (!soft_dirty_clear_bits(clear) || is_written(pagemap, page))
		return false;
	page[0] = 2;
	if (!is_written(pagemap, page) || !soft_dirty_clear_bits(clear) ||
	    mprotect((void *)page, ENTRY_PAGE, PROT_READ) != 0 ||
	    mprotect((void *)page, ENTRY_PAGE, PROT_READ | PROT_WRITE) != 0)
		return false;
	page[0] = 3;
	return is_written(pagemap, page);
}

/* In a process of its own, whose bits are nobody's. */
static bool try_bits(void)
{
	int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	int clear = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
	void *page =
		mmap(NULL, ENTRY_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return pagemap >= 0 && clear >= 0 && page != MAP_FAILED && bits_tell(pagemap, clear, page);
}

bool soft_dirty_works(void)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0)
		_exit(try_bits() ? 0 : 1);
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

bool soft_dirty_is_cleared(const struct mapping_list *mappings)
{
	for (size_t i = 0; i < mappings->count; i++) {
		const struct mapping *mapping = &mappings->mappings[i];
		if (mapping->flags & MAPPING_FLAGS_KNOWN &&
		    !(mapping->flags & (MAPPING_SOFT_DIRTY | MAPPING_GROWS_DOWN)) &&
		    tracking_wants(mapping))
			return true;
	}
	return false;
}

enum kioku_status soft_dirty_measure(const struct process *process,
				     const struct mapping_list *mappings, uint64_t limit,
				     uint64_t *out, struct kioku_error *error)
{
	enum { ENTRIES = 512 };
	AUTO_CLOSE int pagemap = process_open_live(process, "pagemap");
	uint64_t entries[ENTRIES], began = wait_now();

	*out = 0;
	if (pagemap < 0)
		return error_os(error, "cannot ask what process %d has written", process->pid);
	for (size_t i = 0; i < mappings->count; i++) {
		const struct mapping *mapping = &mappings->mappings[i];
		if (!tracking_wants(mapping))
			continue;
		for (uint64_t at = mapping->start; at < mapping->end && *out <= limit;
		     at += ENTRIES * ENTRY_PAGE) {
			uint64_t left = mapping->end - at;
			uint64_t past = left < ENTRIES * ENTRY_PAGE ? mapping->end
								    : at + ENTRIES * ENTRY_PAGE;
			TRY(pagemap_read(pagemap, at, past, entries, error));
			*out = wait_now() - began;
		}
	}
	return KIOKU_OK;
}
