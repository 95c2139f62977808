/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the drivers of this folder share. A driver knows one kind of source: it recognises it and
 * lists which physical addresses lie where in it; everything else is done once, for all of them.
 * What is called physical is a virtual address where source->process is set (made_source.h).
 */
#ifndef SOURCE_DRIVER_H
#define SOURCE_DRIVER_H

#include <stdatomic.h>

#include "source/image_file.h"
#include "source/recent_pages.h"
#include "source/remote.h"
#include "source/source.h"

/* A file's first bytes, as far as it has them, are what a driver is asked to recognise. */
#define SOURCE_HEAD_SIZE 4096u

enum probe_verdict { PROBE_NO, PROBE_MAYBE, PROBE_YES };

/*
 * How a driver reads memory that no file holds. Each way in is for one thread at a time, has its own
 * descriptors, and looks at nothing of the source that changes once it is open: a thread that hangs
 * in read() may come back at any time.
 */
struct source_access {
	/* Errors: OS, NO_MEMORY. *out is NULL then. */
	enum kioku_status (*open)(const struct kioku_source *source, void **out,
				  struct kioku_error *error);
	void (*close)(void *access); /* takes NULL */
	/*
	 * size bytes that lie in one PRESENT extent, from the one that it keeps at offset on.
	 * Errors: OS, ABSENT; error->address is the first byte that could not be had, or physical.
	 */
	enum kioku_status (*read)(void *access, uint64_t physical, uint64_t offset, void *buffer,
				  size_t size, struct kioku_error *error);
	/* As source_channel_states(). */
	bool (*states)(void *access, uint64_t physical, size_t count, uint8_t *states);
};

struct source_driver {
	const char *name;  /* as kioku_source_format() says it and FORMAT:PATH takes it */
	const char *alias; /* another name that FORMAT:PATH takes, or NULL */
	const char *help;  /* what it reads, as in "X is a ..." */
	enum probe_verdict (*probe)(struct bytes head, uint64_t file_size);
	/* Adds at least one layout to a source whose file is open; options are complete. */
	enum kioku_status (*open)(struct kioku_source *source,
				  const struct kioku_source_options *options,
				  struct kioku_error *error);
	/* Adds a layout that ends at an address, if the file can be arranged so; may be NULL. */
	bool (*arrange)(struct kioku_source *source, uint64_t end);
	/*
	 * Of drivers that called source_use_pages(): fills in the page at a physical address, which
	 * lies in a PRESENT extent and is a multiple of the page size. Errors: ABSENT, with that
	 * address.
	 */
	enum kioku_status (*read_page)(struct kioku_source *source, uint64_t physical,
				       uint8_t *page, struct kioku_error *error);
	/* Of drivers without a file, which probe nothing: all their memory is read through one of these. */
	const struct source_access *access;
	const struct remote_driver *remote; /* and open() has called remote_begin() */
	/* Releases source->state; also after an open that failed. May be NULL. */
	void (*close)(struct kioku_source *source);
};

extern const struct source_driver gdb_source, nettlp_source, qemu_source;
extern const struct source_driver raw_source, lime_source, avml_source, elf_source, kdump_source;

/* The driver of that name or alias, which need not be NUL-terminated; NULL if there is none. */
const struct source_driver *source_driver_named(const char *name, size_t size);

/* The driver of a link, which opens source->where by itself; NULL if it names none. */
const struct source_driver *source_driver_of_url(const char *where);

/* Whether a name is that of the live machine, or of one of its drivers, and no path. */
bool source_is_live_name(const char *where);

/*
 * The driver for a file of that size, by its first SOURCE_HEAD_SIZE bytes.
 * Errors: CORRUPT (two formats claim it), UNSUPPORTED (a known format that nobody reads yet).
 */
enum kioku_status source_driver_detect(struct bytes head, uint64_t file_size,
				       const struct source_driver **out, struct kioku_error *error);

/* One answer to which physical address lies where; only raw images ever have more than one. */
struct source_layout {
	/* kind: enum kioku_range_state; offset: in the file, or nothing where pages are read */
	struct range_map extents;
	struct kioku_range *ranges;
	size_t range_count;
};

#define SOURCE_LAYOUT_LIMIT 6

struct kioku_source {
	atomic_uint references; /* its owner's, and one of each channel */
	bool has_channel;       /* of sources that only one may read at a time */
	char *where;            /* as it was opened; allocated */
	const struct source_driver *driver;
	struct image_file file; /* that driver->access does not need */
	int descriptor;

	struct source_layout layouts[SOURCE_LAYOUT_LIMIT];
	size_t layout_count;
	bool may_rearrange; /* nobody said, and nothing in the file does, how it is arranged */
	const struct source_layout *layout; /* the one in use */
	size_t hint;                        /* range_map_find()'s, in the layout in use */
	struct range_map states; /* kind: enum page_state; what a manifest says of absent pages */
	struct kioku_source_fact *manifest; /* what it says besides; values are allocated */
	size_t manifest_count;              /* 0: there is none */

	void *state;               /* the driver's own */
	void *access;              /* the source's own way in, of drivers that have that */
	struct remote *remote;     /* of drivers that read over a link */
	struct recent_pages pages; /* page_size is 0: extents are bytes of the file as they are */

	const struct live_machine *machine;   /* that it was taken from as it runs; or NULL */
	const struct source_process *process; /* whose memory it is; NULL: a machine's */
	struct kioku_cpu *cpus;               /* allocated; freed with the source */
	size_t cpu_count;
	struct bytes vmcoreinfo; /* as long as the source; data is NULL if there is none */
	struct bytes notes;      /* likewise: source_notes() */

	struct diagnostics diagnostics;
	struct page_set
		touched; /* of the file on disk; of the physical space where there is no file */
	uint64_t requests, rounds;
};

/* Whether PRESENT extents are bytes of the file on disk as they are. */
bool source_is_plain(const struct kioku_source *source);

/*
 * Adds an extent as far as it lies in a physical address space; the rest is a gap. False: no memory.
 */
bool source_add_range(const struct kioku_source *source, struct range_map *map,
		      struct extent extent);

/*
 * Says that the file should hold the size bytes at physical from file_offset on; what would lie
 * past its end becomes KIOKU_RANGE_UNREADABLE. False: no memory.
 */
bool source_add_extent(const struct kioku_source *source, struct range_map *map, uint64_t physical,
		       uint64_t size, uint64_t file_offset);

/*
 * Says that PRESENT extents, which are whole pages of page_size bytes, are read through the driver's
 * read_page. Errors: NO_MEMORY.
 */
enum kioku_status source_use_pages(struct kioku_source *source, size_t page_size,
				   struct kioku_error *error);

/*
 * Brings in some of the size bytes at physical, which lie in a PRESENT extent, and sets *size to how
 * many. Errors: ABSENT, OS.
 */
typedef enum kioku_status source_part_fn(void *user, const struct extent *extent, uint64_t physical,
					 uint8_t *out, size_t *size, struct kioku_error *error);

/*
 * Reads across the extents of a layout, PRESENT ones through the function. *hint: as of
 * range_map_find(). Errors: ABSENT, and those of the function.
 */
enum kioku_status source_read_parts(const struct source_layout *layout, size_t *hint,
				    uint64_t physical, void *buffer, size_t size,
				    source_part_fn *function, void *user,
				    struct kioku_error *error);

/* As kioku_source_read(), without its statistics. */
enum kioku_status source_read(struct kioku_source *source, uint64_t physical, void *buffer,
			      size_t size, struct kioku_error *error);

/* Takes over a map (which is empty afterwards) as the next layout. Errors: NO_MEMORY. */
enum kioku_status source_add_layout(struct kioku_source *source, struct range_map *map,
				    struct kioku_error *error);

/* Takes over a map (which is empty afterwards) in place of the only layout. Errors: NO_MEMORY. */
enum kioku_status source_replace_layout(struct kioku_source *source, struct range_map *map,
					struct kioku_error *error);

/*
 * Opens the file behind a source, and its compressed frames. Errors: OS, ARGUMENT, UNSUPPORTED,
 * CORRUPT.
 */
enum kioku_status source_open_file(struct kioku_source *source, const char *path,
				   struct kioku_error *error);

#endif
