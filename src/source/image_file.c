/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reading an image file through its layers; image_layers.c finds them. */
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "source/frame_codec.h"
#include "source/image_file.h"

/* A compressed file may claim any size; tables of more memory than this are kept of large files only. */
#define KEEP_LIMIT (64u << 20)

enum kioku_status image_file_map(struct image_file *file, int descriptor, struct page_set *touched,
				 struct kioku_error *error)
{
	/* Not st_size, which is 0 for block devices. */
	off_t size = lseek(descriptor, 0, SEEK_END);

	if (size < 0)
		return error_os(error, "lseek");
	if (size == 0)
		return error_set(error, KIOKU_ERROR_CORRUPT, "it is empty");
	if ((uint64_t)size > SIZE_MAX)
		return error_set(error, KIOKU_ERROR_UNSUPPORTED,
				 "it is larger than this machine's address space");
	void *data = mmap(NULL, (size_t)size, PROT_READ, MAP_SHARED | MAP_NORESERVE, descriptor, 0);
	if (data == MAP_FAILED)
		return error_os(error, "mmap of %lld bytes", (long long)size);
	file->mapped = (struct bytes){ data, (size_t)size };
	file->size = (uint64_t)size;
	file->touched = touched;
	return page_set_init(touched, (uint64_t)size) ? KIOKU_OK : error_no_memory(error);
}

/* Where each part begins; 0: they do not fit into an address space. Huge pages want to be aligned. */
static uint64_t place_parts(struct image_part *parts, size_t count, uint64_t *alignment)
{
	uint64_t total = 0;
	struct stat status;

	*alignment = (uint64_t)sysconf(_SC_PAGESIZE);
	for (size_t i = 0; i < count; i++)
		if (fstat(parts[i].descriptor, &status) == 0 &&
		    (uint64_t)status.st_blksize > *alignment)
			*alignment = (uint64_t)status.st_blksize;
	if (*alignment & (*alignment - 1))
		return 0;
	for (size_t i = 0; i < count; i++) {
		if (parts[i].size > SIZE_MAX / 4 - total)
			return 0;
		parts[i].position = total;
		total += (parts[i].size + *alignment - 1) & ~(*alignment - 1);
	}
	return total;
}

enum kioku_status image_file_map_parts(struct image_file *file, struct image_part *parts,
				       size_t count, struct page_set *touched,
				       struct kioku_error *error)
{
	uint64_t alignment, size = place_parts(parts, count, &alignment);

	if (size == 0)
		return error_set(error, KIOKU_ERROR_UNSUPPORTED,
				 "they are larger than this machine's address space");
	uint8_t *room = mmap(NULL, (size_t)(size + alignment), PROT_NONE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (room == MAP_FAILED)
		return error_os(error, "mmap of %llu bytes", (unsigned long long)size);
	/* What is in front of the first aligned address goes back. */
	size_t skipped = (size_t)(-(uintptr_t)room & (alignment - 1));
	if (skipped > 0)
		munmap(room, skipped);
	file->mapped = (struct bytes){ room + skipped, (size_t)(size + alignment) - skipped };
	file->size = size;
	file->touched = touched;
	file->is_joined = true;
	for (size_t i = 0; i < count; i++)
		if (mmap(room + skipped + parts[i].position, (size_t)parts[i].size, PROT_READ,
			 MAP_SHARED | MAP_NORESERVE | MAP_FIXED, parts[i].descriptor,
			 0) == MAP_FAILED)
			return error_os(error, "mmap of %llu bytes",
					(unsigned long long)parts[i].size);
	return page_set_init(touched, size) ? KIOKU_OK : error_no_memory(error);
}

void image_file_add_frames(struct image_file *file, enum frame_codec codec,
			   struct frame_index *index)
{
	struct image_layer *layer = &file->layers[file->layer_count++];

	*layer = (struct image_layer){
		.kind = IMAGE_LAYER_FRAMES, .size = index->size, .codec = codec, .frames = *index
	};
	*index = (struct frame_index){ 0 };
	file->size = layer->size;
}

void image_file_release(struct image_file *file)
{
	for (size_t i = 0; i < file->layer_count; i++) {
		struct image_layer *layer = &file->layers[i];
		frame_index_release(&layer->frames);
		frame_cache_release(&layer->cache);
		free(layer->packed);
		flattened_release(&layer->flattened);
	}
	arena_release(&file->kept);
	if (file->mapped.data)
		munmap((void *)file->mapped.data, file->mapped.size);
	*file = (struct image_file){ 0 };
}

bool image_file_is_plain(const struct image_file *file)
{
	return file->layer_count == 0 && !file->is_joined;
}

bool image_file_is_cut(const struct image_file *file)
{
	const struct image_layer *top =
		file->layer_count ? &file->layers[file->layer_count - 1] : NULL;

	return top && top->kind == IMAGE_LAYER_FLATTENED && !top->flattened.complete;
}

const char *image_file_codec(const struct image_file *file)
{
	const struct image_layer *first = &file->layers[0];

	if (file->layer_count == 0 || first->kind == IMAGE_LAYER_FLATTENED ||
	    first->codec == FRAME_SNAPPY)
		return "";
	return frame_codec_name(first->codec);
}

/* --- what is there */

static uint64_t smaller(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t run_of_records(const struct range_map *records, uint64_t offset, uint64_t size,
			       bool *is_there)
{
	size_t i = range_map_after(records, offset);
	uint64_t end = offset;

	*is_there = i < records->count && records->extents[i].start <= offset;
	if (!*is_there)
		return i < records->count ? smaller(size, records->extents[i].start - offset)
					  : size;
	for (; i < records->count && records->extents[i].start <= end && end - offset < size; i++)
		end = records->extents[i].start + records->extents[i].size;
	return smaller(size, end - offset);
}

uint64_t image_file_run(const struct image_file *file, uint64_t offset, uint64_t size,
			bool *is_there)
{
	*is_there = offset < file->size;
	if (!*is_there)
		return size;
	if (image_file_is_cut(file))
		return run_of_records(&file->layers[file->layer_count - 1].flattened.records,
				      offset, size, is_there);
	return smaller(size, file->size - offset);
}

bool image_file_has(const struct image_file *file, uint64_t offset, uint64_t size)
{
	bool is_there = true;

	return image_file_run(file, offset, size, &is_there) == size && (is_there || size == 0);
}

/* --- pieces */

/*
 * The piece at an offset of the layer below which there are depth, at most *size bytes: NULL without
 * a problem is zeros. It is good until the next call, unless it is mapped.
 */
static const uint8_t *find_piece(struct image_file *file, size_t depth, uint64_t offset,
				 uint64_t *size, const char **problem);

static size_t read_layer(struct image_file *file, size_t depth, uint64_t offset, uint8_t *out,
			 size_t size, const char **problem)
{
	size_t done = 0;

	while (done < size) {
		uint64_t part = size - done;
		const uint8_t *data = find_piece(file, depth, offset + done, &part, problem);
		if (*problem)
			break;
		if (data)
			memcpy(out + done, data, (size_t)part);
		else
			memset(out + done, 0, (size_t)part);
		done += (size_t)part;
	}
	return done;
}

/* The bytes of a frame before it is unpacked. */
static bool find_packed(struct image_file *file, size_t depth, const struct frame *frame,
			struct bytes *out)
{
	struct image_layer *layer = &file->layers[depth];
	uint64_t size = frame->packed_size;
	const char *problem = NULL;

	if (depth == 0) {
		page_set_add(file->touched, frame->offset, size);
		return bytes_slice(file->mapped, frame->offset, size, out);
	}
	if (layer->packed_capacity < size) {
		free(layer->packed);
		layer->packed = malloc(size);
		layer->packed_capacity = layer->packed ? size : 0;
		if (!layer->packed)
			return false;
	}
	*out = (struct bytes){ layer->packed, size };
	return read_layer(file, depth, frame->offset, layer->packed, size, &problem) == size;
}

static struct cached_frame *unpack(struct image_file *file, size_t depth, const struct frame *frame)
{
	struct image_layer *layer = &file->layers[depth];
	struct cached_frame *slot = frame_cache_find(&layer->cache, frame);
	struct frame_sizes sizes;
	struct bytes packed;

	if (slot)
		return slot;
	slot = frame_cache_claim(&layer->cache, frame);
	if (!slot)
		return NULL;
	if (!find_packed(file, depth, frame, &packed))
		slot->problem = "its compressed bytes cannot be read";
	else if (frame_unpack(layer->codec, packed, slot->data, frame->content_size, &sizes) !=
			 FRAME_UNPACKED ||
		 sizes.content != frame->content_size)
		slot->problem = "its compressed bytes are damaged";
	return slot;
}

static const uint8_t *find_in_frames(struct image_file *file, size_t depth, uint64_t offset,
				     uint64_t *size, const char **problem)
{
	const struct frame *frame = frame_index_find(&file->layers[depth].frames, offset);
	const struct cached_frame *slot = unpack(file, depth, frame);
	uint64_t skipped = offset - frame->content;

	*problem = slot ? slot->problem : "there is no memory to unpack it";
	if (*problem)
		return NULL;
	*size = smaller(*size, frame->content_size - skipped);
	return slot->data + skipped;
}

static const uint8_t *find_in_records(struct image_file *file, size_t depth, uint64_t offset,
				      uint64_t *size, const char **problem)
{
	struct image_layer *layer = &file->layers[depth];
	const struct range_map *records = &layer->flattened.records;
	const struct extent *record = range_map_find(records, offset, &layer->hint);

	if (record) {
		uint64_t skipped = offset - record->start;
		*size = smaller(*size, record->size - skipped);
		return find_piece(file, depth, record->offset + skipped, size, problem);
	}
	if (!layer->flattened.complete) {
		*problem = "it is missing: the file was cut off";
		return NULL;
	}
	size_t next = range_map_after(records, offset);
	uint64_t end = next < records->count ? records->extents[next].start : layer->size;
	*size = smaller(*size, end - offset);
	return NULL;
}

static const uint8_t *find_piece(struct image_file *file, size_t depth, uint64_t offset,
				 uint64_t *size, const char **problem)
{
	uint64_t layer_size = depth ? file->layers[depth - 1].size : file->mapped.size;

	*problem = NULL;
	if (offset >= layer_size) {
		*problem = "it is missing: the file ends before it";
		return NULL;
	}
	if (depth > 0)
		return file->layers[depth - 1].kind == IMAGE_LAYER_FRAMES
			       ? find_in_frames(file, depth - 1, offset, size, problem)
			       : find_in_records(file, depth - 1, offset, size, problem);
	*size = smaller(*size, layer_size - offset);
	page_set_add(file->touched, offset, *size);
	return file->mapped.data + offset;
}

size_t image_file_read(struct image_file *file, uint64_t offset, void *buffer, size_t size,
		       const char **problem)
{
	*problem = NULL;
	return read_layer(file, file->layer_count, offset, buffer, size, problem);
}

bool image_file_copy(struct image_file *file, uint64_t offset, void *buffer, size_t size)
{
	const char *problem;

	return image_file_read(file, offset, buffer, size, &problem) == size;
}

bool image_file_look(struct image_file *file, uint64_t offset, uint64_t size, struct bytes *out)
{
	const char *problem;

	for (size_t i = 0; i < file->layer_count; i++)
		if (file->layers[i].kind == IMAGE_LAYER_FRAMES)
			return false;
	const uint8_t *data = find_piece(file, file->layer_count, offset, &size, &problem);
	*out = (struct bytes){ data, (size_t)size };
	return data;
}

enum kioku_status image_file_keep(struct image_file *file, uint64_t offset, uint64_t size,
				  struct bytes *out, struct kioku_error *error)
{
	bool is_plausible = size <= KEEP_LIMIT || size <= file->mapped.size;

	if (!is_plausible || !image_file_has(file, offset, size))
		return error_set(error, KIOKU_ERROR_CORRUPT, "the file ends before them");
	if (size == 0 || (image_file_look(file, offset, size, out) && out->size == size)) {
		out->size = (size_t)size;
		return KIOKU_OK;
	}
	uint8_t *copy = arena_allocate(&file->kept, (size_t)size);
	if (!copy)
		return error_no_memory(error);
	const char *problem;
	if (image_file_read(file, offset, copy, (size_t)size, &problem) < size)
		return error_set(error, KIOKU_ERROR_CORRUPT, "%s", problem);
	*out = (struct bytes){ copy, (size_t)size };
	return KIOKU_OK;
}
