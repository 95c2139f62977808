/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "format/frame_format.h"
#include "fuzz.h"

/* What is listed lies in the file, in order, and is found again. */
static void check_index(const struct frame_index *index, size_t file_size)
{
	uint64_t content = 0;

	for (size_t i = 0; i < index->count; i++) {
		const struct frame *frame = &index->frames[i];
		FUZZ_CHECK(frame->content == content && frame->content_size > 0);
		FUZZ_CHECK(frame->content_size <= FRAME_CONTENT_LIMIT);
		FUZZ_CHECK(frame->offset <= file_size &&
			   frame->packed_size <= file_size - frame->offset);
		content += frame->content_size;
		FUZZ_CHECK(frame_index_find(index, frame->content) == frame);
		FUZZ_CHECK(frame_index_find(index, content - 1) == frame);
	}
	FUZZ_CHECK(content == index->size && !frame_index_find(index, content));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes file = { data, size };
	struct frame_index table = { 0 }, walked = { 0 };
	struct frame_shape shape;
	enum frame_codec codec;
	uint64_t offset = 0;

	if (seek_table_decode(file, &table, NULL) == KIOKU_OK)
		check_index(&table, size);
	frame_index_release(&table);
	if (!frame_codec_detect(file, &codec))
		return 0;
	while (!frame_measure(codec, file, offset, &shape)) {
		uint64_t content =
			shape.content_size == FRAME_SIZE_UNKNOWN ? 1 : shape.content_size;
		if (shape.packed_size == FRAME_SIZE_UNKNOWN)
			break;
		FUZZ_CHECK(shape.packed_size > 0 && shape.packed_size <= size - offset);
		if (frame_index_add(&walked, offset, shape.packed_size, content, NULL) != KIOKU_OK)
			break;
		offset += shape.packed_size;
	}
	check_index(&walked, size);
	frame_index_release(&walked);
	return 0;
}
