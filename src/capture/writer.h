/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An image format that can be written. Memory comes in blocks, ascending (by physical address, or the
 * virtual one of a process: everything here that is called physical); what a writer makes of it
 * goes out in sequence. A block passes first through prepare(), on several threads at once, and
 * then through data(), in order and one at a time.
 */
#ifndef CAPTURE_WRITER_H
#define CAPTURE_WRITER_H

#include <kioku/capture.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/page_state.h"

#define CAPTURE_BLOCK (1u << 20) /* bytes of memory in a block, at most */

/* What is to be captured: known before the first byte is read. */
struct plan_range {
	uint64_t start, size;   /* physical, bytes; may start and end within a page */
	bool is_stored;         /* false: absent (excluded, cut off), or zeros that need no room */
	enum page_state absent; /* then: why */
};

struct plan {
	struct plan_range
		*ranges; /* ascending, disjoint, of neighbours that differ or have a gap */
	size_t count;
	uint64_t size; /* bytes of all but zeros that are not stored */
};

/* Memory within one range of the plan that is_stored, on its way. */
struct capture_block {
	uint64_t physical;
	size_t size;           /* bytes, at most CAPTURE_BLOCK; never crosses a multiple of it */
	const uint8_t *data;   /* lost pages are zeros */
	const uint8_t *states; /* enum page_state of every page that the block touches */
	double begin, end;     /* when it was read, seconds since the start */
	uint8_t *prepared;     /* writer_format.prepared_size bytes for prepare()'s result */
	size_t prepared_size;  /* what prepare() used */
};

struct image_writer {
	const struct writer_format *format;
	const struct plan *plan;
	struct kioku_source
		*source; /* for notes and VMCOREINFO; its memory is not read from here */
	struct kioku_kernel *kernel;           /* or NULL */
	const char *page_codec;                /* kioku_capture_options.page_codec, or NULL */
	bool can_seek;                         /* writer_emit_at() may be used */
	const struct diagnostics *diagnostics; /* use from begin(), data() and end() only */
	void *state;                           /* the format's own */
	struct image_output *output;           /* where writer_emit() puts things */
};

struct writer_format {
	struct kioku_image_format public;
	/*
	 * What the source knows to be zero is no part of the image, and of memory there are no digests:
	 * there may be terabytes of it.
	 */
	bool omits_zeros;
	size_t prepared_size; /* bytes that prepare() may need for a block; 0: there is none */
	/* Writes what comes before all memory. */
	enum kioku_status (*begin)(struct image_writer *writer, struct kioku_error *error);
	/* Of a block alone, without touching the writer: on any thread. May be NULL. False: no memory. */
	bool (*prepare)(const struct image_writer *writer, struct capture_block *block);
	enum kioku_status (*data)(struct image_writer *writer, const struct capture_block *block,
				  struct kioku_error *error);
	/* Writes what comes after it; also when the capture was stopped: complete is false then. */
	enum kioku_status (*end)(struct image_writer *writer, bool complete,
				 struct kioku_error *error);
	void (*release)(
		struct image_writer *writer); /* frees state, also after an error; may be NULL */
};

extern const struct writer_format lime_writer, padded_writer, raw_writer, elf_writer, avml_writer,
	kdump_writer, core_writer;

/* Appends to the image. Errors: what the output ran into; the writer returns it at once. */
enum kioku_status writer_emit(struct image_writer *writer, const void *data, size_t size,
			      struct kioku_error *error);

/* Appends zeros. */
enum kioku_status writer_emit_zeros(struct image_writer *writer, uint64_t size,
				    struct kioku_error *error);

/*
 * Only where can_seek: the image has two parts, each written in sequence. The front part is
 * everything up to back_start, a multiple of MANIFEST_SEGMENT_SIZE; what it leaves unwritten there
 * is zero. writer_emit() goes to the front part until writer_select_back() and again after
 * writer_select_front(). Whoever uses this calls writer_split() once, in begin(), before it emits
 * anything. Errors: ARGUMENT (not so), NO_MEMORY.
 */
enum kioku_status writer_split(struct image_writer *writer, uint64_t back_start,
			       struct kioku_error *error);
void writer_select_front(struct image_writer *writer);
void writer_select_back(struct image_writer *writer);

#endif
