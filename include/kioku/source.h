/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A source is a machine's physical address space: an image file, the machine this runs on, or a link
 * to one later. It is a sorted list of ranges and a way to read them.
 */
#ifndef KIOKU_SOURCE_H
#define KIOKU_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <kioku/error.h>

#ifdef __cplusplus
extern "C" {
#endif

struct kioku_source;

enum kioku_range_state {
	KIOKU_RANGE_PRESENT,
	KIOKU_RANGE_ZERO,       /* known to be zero; no bytes are stored */
	KIOKU_RANGE_EXCLUDED,   /* left out on purpose by whoever wrote the image */
	KIOKU_RANGE_UNREADABLE, /* should be there and is not: cut off, or lost by the writer */
};

struct kioku_range {
	uint64_t start; /* physical address of the first byte */
	uint64_t size;  /* bytes, never 0 */
	enum kioku_range_state state;
};

/* Where bytes of a headerless file belong: [start, start + size) is at file_offset. */
struct kioku_placement {
	uint64_t start, size, file_offset;
};

struct kioku_source_options {
	size_t size; /* sizeof(struct kioku_source_options): later versions only append members */
	const struct kioku_placement *placements; /* for raw images; NULL: by evidence */
	size_t placement_count;
	kioku_diagnostic_fn *diagnostic; /* may be NULL */
	void *diagnostic_user;
};

/*
 * Opens a source. where is a path, whose format is found from its content, or FORMAT:PATH
 * (raw: or padded:, lime:, avml:, elf:, kdump:) to force one, or the machine this runs on: "module",
 * "kcore", "devcrash" or "devmem" says how its memory is read, "live" takes the first of these that can, and
 * says of others why they cannot. "./live" is a file. nettlp://ADDRESS?NAME=VALUE&... is a machine
 * that has a NetTLP adapter, see kioku-nettlp(7); qemu:SOCKET is a machine that QEMU runs, by the Unix
 * socket of its machine protocol, and gdb://ADDRESS:PORT one that QEMU's debugger stub stops for as long
 * as it is open, see kioku-qemu(7). options may be NULL. Files compressed by zstd,
 * lz4 or gzip, in frames of at most 64 MiB, are unpacked by need. A truncated image opens, with the
 * missing part as KIOKU_RANGE_UNREADABLE and a KIOKU_GAP diagnostic. PATH.manifest.json, if it is about
 * this file, adds which pages were lost and, without placements, where those of a raw image belong.
 * Files are mapped: when somebody shortens one while it is open, reading what is gone raises SIGBUS.
 * Errors: OS, CORRUPT (a header contradicts itself), UNSUPPORTED (recognised but not a physical
 * memory image, such as a process core; a live machine that lets nobody in), ARGUMENT.
 */
KIOKU_PUBLIC KIOKU_CHECK enum kioku_status
kioku_source_open(const char *where, const struct kioku_source_options *options,
		  struct kioku_source **out, struct kioku_error *error);
KIOKU_PUBLIC void kioku_source_close(struct kioku_source *source);

/*
 * Whether a headerless image could be arranged in several ways, so that physical addresses above
 * 2 GiB are a guess until kioku_kernel_open() finds a kernel that settles it.
 */
KIOKU_PUBLIC bool kioku_source_is_ambiguous(const struct kioku_source *source);

/*
 * The name of the format that was recognised: "raw", "lime", "avml", "elf", "kdump"; of a
 * live machine the way to its memory: "module", "kcore", "devcrash", "devmem"; "nettlp", "qemu", "gdb". Borrowed.
 */
KIOKU_PUBLIC const char *kioku_source_format(const struct kioku_source *source);

/* Whether it is the machine this runs on, whose memory changes while it is read. */
KIOKU_PUBLIC bool kioku_source_is_live(const struct kioku_source *source);

/*
 * Whether it is behind a link and nobody has said where it has RAM: until kioku_kernel_open() has asked
 * its kernel, next to nothing of it may be read, because reading a device can hang a machine.
 */
KIOKU_PUBLIC bool kioku_source_lacks_ranges(const struct kioku_source *source);

/* Sorted, disjoint; borrowed until the source closes, or kioku_kernel_open() has learned others. */
KIOKU_PUBLIC const struct kioku_range *kioku_source_ranges(const struct kioku_source *source,
							   size_t *count);

/*
 * Reads size bytes at a physical address. All or nothing: on ABSENT the buffer's content is
 * undefined and error->address is the first byte that could not be had.
 */
KIOKU_PUBLIC KIOKU_CHECK enum kioku_status kioku_source_read(struct kioku_source *source,
							     uint64_t physical, void *buffer,
							     size_t size,
							     struct kioku_error *error);

struct kioku_read {
	uint64_t address; /* physical, or virtual in kioku_address_space_read_many() */
	void *buffer;
	size_t size;
	enum kioku_status status; /* out */
};

/* Independent reads as one batch: a source behind a link keeps many of them in flight. */
KIOKU_PUBLIC void kioku_source_read_many(struct kioku_source *source, struct kioku_read *reads,
					 size_t count);

/*
 * A part of a process's memory: "heap", "stack" (of all threads), or the mappings of a file, by its path
 * or the last part of it, or another name of /proc/PID/maps ("[vdso]"); or [start, end) of virtual
 * addresses.
 */
struct kioku_area {
	const char *name; /* NULL: by addresses */
	uint64_t start, end;
};

/* Registers of one CPU, as far as the image carries them. */
struct kioku_cpu {
	uint64_t cr3; /* 0 if unknown */
	uint64_t rip, rsp, rbp;
};
KIOKU_PUBLIC const struct kioku_cpu *kioku_source_cpus(const struct kioku_source *source,
						       size_t *count);

/* The VMCOREINFO note that came with the image, not NUL-terminated; NULL if there is none. */
KIOKU_PUBLIC const char *kioku_source_vmcoreinfo(const struct kioku_source *source, size_t *size);

/* What the manifest beside an image says of it, as it says it. Digests were not computed again. */
struct kioku_source_fact {
	const char *name; /* snake_case: "state", "host", "started", "image_sha256", ... */
	const char *value;
};

/* None (NULL) where there is no manifest, or it is not about this image. Borrowed. */
KIOKU_PUBLIC const struct kioku_source_fact *
kioku_source_manifest(const struct kioku_source *source, size_t *count);

/* What reading has cost so far. */
struct kioku_source_stats {
	/*
	 * Distinct 4 KiB pages of the source that were touched, times 4096: of the file as it is,
	 * so that of a compressed image these are bitmaps, descriptors and compressed pages. Over a
	 * link: what came, in bytes.
	 */
	uint64_t bytes;
	uint64_t requests; /* single reads; over a link what was sent, repetitions included */
	uint64_t rounds;   /* batches that had to wait for the one before */
};
KIOKU_PUBLIC struct kioku_source_stats kioku_source_stats(const struct kioku_source *source);

#ifdef __cplusplus
}
#endif
#endif
