/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the drivers of the live machine share: its facts, and opening and reading its files. */
#ifndef SOURCE_LIVE_DRIVER_H
#define SOURCE_LIVE_DRIVER_H

#include "source/driver.h"
#include "source/live.h"

/* Where a machine shows itself; tests have a machine of their own. */
struct live_paths {
	const char *module, *kcore, *crash, *mem, *iomem, *kpageflags, *lockdown, *boot_id,
		*cmdline;
};

extern const struct live_paths live_paths;

/* source->state of a live machine. */
struct live {
	const struct live_paths *paths;
	struct live_machine machine;
	struct range_map ram; /* all System RAM; each extent's offset is its address */
	size_t page_size;     /* of the machine, in bytes */

	const char *memory_path; /* of the file that PRESENT extents are in */
	bool reads_pages;        /* which gives out no more than a page at once */
	bool has_mapped;         /* some extents are LIVE_MAPPED */
	uint8_t *headers;        /* of kcore, as they were when the source was opened */
	size_t headers_size;
	uint8_t *notes;
};

/*
 * The offset of extents that the memory file lacks and that are read through a mapping of /dev/mem,
 * at the address in the other bits. No file has an offset with this bit.
 */
#define LIVE_MAPPED (1ull << 63)

/*
 * Drivers that "live" tries, in this order. Their open() expects source->state to be a live machine
 * with its RAM listed.
 */
extern const struct source_driver module_source, kcore_source, devcrash_source, devmem_source;

/* Of those that read a file of the kernel's own. */
extern const struct source_access live_access;

/*
 * Reads what is known of a machine without its RAM; live_machine_release() in any case. False: no
 * memory.
 */
bool live_machine_learn(struct live_machine *machine, const struct live_paths *paths);
void live_machine_release(struct live_machine *machine);

/* Their close(). */
void live_close(struct kioku_source *source);

/*
 * Opens one of the machine's files for reading; an error says what would have to be different.
 * Errors: OS, UNSUPPORTED.
 */
enum kioku_status live_open_file(const struct live *live, const char *path, int *out,
				 struct kioku_error *error);

/* Reads size bytes at an offset, however often it takes. Errors: OS; ABSENT (the file ends). */
enum kioku_status live_read_at(int descriptor, uint64_t offset, void *buffer, size_t size,
			       struct kioku_error *error);

/*
 * Whether the page at a physical address is offline, and for how many of size bytes, at least 1, the
 * answer is the same. Nothing is where nobody can say.
 */
uint64_t live_offline_run(const struct live *live, uint64_t physical, uint64_t size, bool *offline);

/*
 * Copies what lies at a physical address out of a mapping of /dev/mem; only finds out whether it
 * could if buffer is NULL. Errors: OS.
 */
enum kioku_status live_read_mapped(int descriptor, size_t page_size, uint64_t physical,
				   void *buffer, size_t size, struct kioku_error *error);

/* As kioku_source_open(), where the machine shows itself at these paths. */
enum kioku_status source_open_on(const struct live_paths *paths, const char *where,
				 const struct kioku_source_options *options,
				 struct kioku_source **out, struct kioku_error *error);

/*
 * Opens the machine at these paths by the driver of that name, or by the first that can ("live").
 * Errors: OS, UNSUPPORTED (no way in; the message has every reason), NO_MEMORY, ARGUMENT, CORRUPT.
 */
enum kioku_status live_open(struct kioku_source *source, const char *name,
			    const struct live_paths *paths,
			    const struct kioku_source_options *options, struct kioku_error *error);

#endif
