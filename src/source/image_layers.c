/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which layers an image file has: found from its content. */
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "source/frame_codec.h"
#include "source/image_file.h"

/* --- compressed in frames */

struct walk {
	struct image_file *file;
	enum frame_codec codec;
	struct frame_index index;
	uint64_t offset;      /* of the next frame */
	const char *problem;  /* why there is none, though the file goes on */
	uint64_t tried;       /* bytes that were unpacked to learn how large frames are */
	bool has_own, is_own; /* a frame is as kioku writes them, all are */
	bool ended;           /* the last one was an end mark */
};

static void walk_release(struct walk *walk)
{
	frame_index_release(&walk->index);
}

/*
 * Unpacks a frame whose header does not say how large it is. Somebody else wrote it, most likely all
 * of the file as one; a bound for all of them keeps a small file from costing hours.
 */
static enum kioku_status try_frame(struct walk *walk, struct frame_shape *shape,
				   struct kioku_error *error)
{
	size_t capacity = FRAME_CONTENT_LIMIT - (size_t)walk->tried;
	AUTO_FREE uint8_t *content = malloc(capacity ? capacity : 1);
	struct frame_sizes sizes;
	struct bytes packed;

	if (!content)
		return error_no_memory(error);
	bytes_slice(walk->file->mapped, walk->offset, walk->file->mapped.size - walk->offset,
		    &packed);
	switch (frame_unpack(walk->codec, packed, content, capacity, &sizes)) {
	case FRAME_UNPACKED: break;
	case FRAME_TOO_LARGE: return frame_index_add(&walk->index, 0, 0, UINT64_MAX, error);
	case FRAME_DAMAGED: walk->problem = "it cannot be unpacked"; return KIOKU_OK;
	}
	*shape = (struct frame_shape){ sizes.packed, sizes.content };
	walk->tried += sizes.content;
	page_set_add(walk->file->touched, walk->offset, sizes.packed);
	return KIOKU_OK;
}

/* Adds the frame at walk->offset. Errors: LIMIT, NO_MEMORY; a damaged one is walk->problem. */
static enum kioku_status take_frame(struct walk *walk, struct kioku_error *error)
{
	struct frame_shape shape;

	page_set_add(walk->file->touched, walk->offset, GZIP_HEAD_SIZE);
	walk->problem = frame_measure(walk->codec, walk->file->mapped, walk->offset, &shape);
	if (walk->problem)
		return KIOKU_OK;
	bool says = shape.content_size != FRAME_SIZE_UNKNOWN;
	if (!says)
		TRY(try_frame(walk, &shape, error));
	if (walk->problem)
		return KIOKU_OK;
	/* Only the last frame that kioku writes is shorter than the others. */
	walk->is_own = walk->index.count == 0 ||
		       (walk->is_own &&
			walk->index.frames[walk->index.count - 1].content_size == FRAME_WRITE_SIZE);
	walk->is_own &= says && shape.content_size <= FRAME_WRITE_SIZE;
	walk->ended = shape.content_size == 0;
	TRY(frame_index_add(&walk->index, walk->offset, shape.packed_size, shape.content_size,
			    error));
	walk->offset += shape.packed_size;
	return KIOKU_OK;
}

/* Lists all frames one by one: there is no table of them. */
static enum kioku_status walk_frames(struct walk *walk, const struct diagnostics *diagnostics,
				     struct kioku_error *error)
{
	uint64_t size = walk->file->mapped.size;

	while (walk->offset < size && !walk->problem)
		TRY(take_frame(walk, error));
	if (walk->index.count == 0)
		return error_set(error, KIOKU_ERROR_CORRUPT, "its first frame: %s",
				 walk->problem ? walk->problem : "it holds nothing");
	if (walk->problem)
		diagnose(diagnostics, KIOKU_GAP,
			 "the compressed frame at file offset 0x%llx: %s; the last %llu bytes of "
			 "the file are not used",
			 (unsigned long long)walk->offset, walk->problem,
			 (unsigned long long)(size - walk->offset));
	else if (walk->is_own && !walk->ended)
		diagnose(diagnostics, KIOKU_GAP,
			 "the compressed file has no end mark, which kioku writes: it was cut off "
			 "between two frames");
	return KIOKU_OK;
}

enum kioku_status image_file_unpack(struct image_file *file, const struct diagnostics *diagnostics,
				    struct kioku_error *error)
{
	CLEANUP(walk_release) struct walk walk = { .file = file };

	page_set_add(file->touched, 0, 1);
	if (!frame_codec_detect(file->mapped, &walk.codec))
		return KIOKU_OK;
	const char *name = frame_codec_name(walk.codec);
	if (!frame_codec_is_here(walk.codec))
		return error_set(error, KIOKU_ERROR_UNSUPPORTED,
				 "it is compressed with %s, which this build cannot read", name);
	enum kioku_status status = seek_table_decode(file->mapped, &walk.index, error);
	if (status == KIOKU_OK) {
		uint64_t table = walk.index.count * SEEK_TABLE_ENTRY_SIZE;
		page_set_add(file->touched, file->mapped.size - table, table);
	}
	if (status == KIOKU_ERROR_NOT_FOUND)
		status = walk_frames(&walk, diagnostics, error);
	if (status == KIOKU_ERROR_LIMIT)
		return error_set(
			error, KIOKU_ERROR_UNSUPPORTED,
			"it is compressed with %s, and in pieces of more than %u MiB, which "
			"cannot be read at random: unpack it first with %s -d",
			name, FRAME_CONTENT_LIMIT >> 20, name);
	if (status != KIOKU_OK) {
		error_prefix(error, "it is compressed with %s", name);
		return status;
	}
	image_file_add_frames(file, walk.codec, &walk.index);
	return KIOKU_OK;
}

/* --- flattened */

enum kioku_status image_file_unflatten(struct image_file *file,
				       const struct diagnostics *diagnostics,
				       struct kioku_error *error)
{
	uint8_t raw[FLATTENED_RECORD_SIZE], head[32];
	size_t head_size = file->size < sizeof(head) ? (size_t)file->size : sizeof(head);
	struct image_layer *layer = &file->layers[file->layer_count];
	struct flattened *flattened = &layer->flattened;
	uint64_t offset = FLATTENED_HEADER_SIZE;

	if (!image_file_copy(file, 0, head, head_size) ||
	    !flattened_is_magic((struct bytes){ head, head_size }))
		return KIOKU_OK;
	TRY(flattened_check_header((struct bytes){ head, head_size }, file->size, error));
	*layer = (struct image_layer){ .kind = IMAGE_LAYER_FLATTENED };
	enum kioku_status status = KIOKU_OK;
	while (status == KIOKU_OK && !flattened->complete &&
	       image_file_copy(file, offset, raw, sizeof(raw)))
		status = flattened_take_record(flattened, raw, file->size, &offset, error);
	if (status == KIOKU_OK)
		status = flattened_finish(flattened, error);
	if (status != KIOKU_OK) {
		flattened_release(flattened);
		return status;
	}
	if (!flattened->complete)
		diagnose(diagnostics, KIOKU_GAP,
			 "the flattened file was cut off: it has no end marker");
	layer->size = flattened->size;
	file->size = layer->size;
	file->layer_count++;
	return KIOKU_OK;
}
