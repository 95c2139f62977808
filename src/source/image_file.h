/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The bytes of an image file as its format means them, in layers: the file as it is mapped, what its
 * compressed frames unpack to, what its flattened records describe. The top one is what drivers see.
 */
#ifndef SOURCE_IMAGE_FILE_H
#define SOURCE_IMAGE_FILE_H

#include "base/arena.h"
#include "base/diagnostic.h"
#include "base/page_set.h"
#include "format/flattened_format.h"
#include "source/frame_cache.h"

enum image_layer_kind { IMAGE_LAYER_FRAMES, IMAGE_LAYER_FLATTENED };

struct image_layer {
	enum image_layer_kind kind;
	uint64_t size;

	enum frame_codec codec;
	struct frame_index frames;
	struct frame_cache cache;
	uint8_t *packed; /* room for one frame, where the layer below cannot be mapped */
	size_t packed_capacity;

	struct flattened flattened;
	size_t hint; /* range_map_find()'s */
};

/* Compressed, flattened, and blocks that the format itself compresses. */
#define IMAGE_LAYER_LIMIT 3

/* All zero is none; only image_file_release() may be called on it. */
struct image_file {
	struct bytes mapped;      /* its pages fault, with SIGBUS, once the file has shrunk */
	struct page_set *touched; /* pages of what is mapped; the caller's */
	struct image_layer layers[IMAGE_LAYER_LIMIT];
	size_t layer_count;
	uint64_t size;     /* of the top layer */
	bool is_joined;    /* several files are mapped as one, so that no descriptor has it all */
	struct arena kept; /* what image_file_keep() copied */
};

/*
 * Maps a descriptor's file, and makes room in an empty set, which the caller releases, for its pages
 * that are touched. Errors: OS, NO_MEMORY, UNSUPPORTED, CORRUPT (it is empty).
 */
enum kioku_status image_file_map(struct image_file *file, int descriptor, struct page_set *touched,
				 struct kioku_error *error);

/* One of several files that are mapped as one. */
struct image_part {
	int descriptor;
	uint64_t size;     /* bytes, all of which the file has */
	uint64_t position; /* out: where it begins, a multiple of its block size */
};

/* As image_file_map(), one part behind the other; each may be of huge pages. */
enum kioku_status image_file_map_parts(struct image_file *file, struct image_part *parts,
				       size_t count, struct page_set *touched,
				       struct kioku_error *error);

/*
 * Lays what is compressed open, if anything is. What cannot be had of it is a GAP. Errors:
 * UNSUPPORTED (not in this build, or in pieces too large to be unpacked for a byte of them), CORRUPT
 * (not even its first frame), NO_MEMORY.
 */
enum kioku_status image_file_unpack(struct image_file *file, const struct diagnostics *diagnostics,
				    struct kioku_error *error);

/* Lays what is flattened open, in the same way. Errors: as of flattened_take_record(). */
enum kioku_status image_file_unflatten(struct image_file *file,
				       const struct diagnostics *diagnostics,
				       struct kioku_error *error);

/* Takes over an index (which is empty afterwards) of frames in the top layer as the next one. */
void image_file_add_frames(struct image_file *file, enum frame_codec codec,
			   struct frame_index *index);

void image_file_release(struct image_file *file);

/* Whether the top layer is one file as it is. */
bool image_file_is_plain(const struct image_file *file);

/* Whether a flattened layer has no end: what no record wrote may have been in one that is lost. */
bool image_file_is_cut(const struct image_file *file);

/* The codec that the file as a whole is compressed with, by name; "" if it is not. */
const char *image_file_codec(const struct image_file *file);

/*
 * The longest run at an offset of bytes that are all there, or all not there, at most size: it is
 * known what a cut file lacks, but not which frames are damaged. 0 only if size is.
 */
uint64_t image_file_run(const struct image_file *file, uint64_t offset, uint64_t size,
			bool *is_there);

/* Whether a run of bytes is all there, in this sense. */
bool image_file_has(const struct image_file *file, uint64_t offset, uint64_t size);

/*
 * Copies bytes, counted as touched; how many of them could be had from the start. If these are not
 * all, *problem says why: "its ...".
 */
size_t image_file_read(struct image_file *file, uint64_t offset, void *buffer, size_t size,
		       const char **problem);

/* As image_file_read(), all or nothing. */
bool image_file_copy(struct image_file *file, uint64_t offset, void *buffer, size_t size);

/* The longest run that lies in the file as one piece, at most size, without copying; or false. */
bool image_file_look(struct image_file *file, uint64_t offset, uint64_t size, struct bytes *out);

/*
 * Bytes that stay as long as the file: mapped, else copied. Errors: CORRUPT (they are not all there,
 * or more than the file may hold), NO_MEMORY.
 */
enum kioku_status image_file_keep(struct image_file *file, uint64_t offset, uint64_t size,
				  struct bytes *out, struct kioku_error *error);

#endif
