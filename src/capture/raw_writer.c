/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The bytes of all ranges that are there, one after another: only the manifest says which is where. */
#include "capture/writer.h"

static enum kioku_status begin(struct image_writer *writer, struct kioku_error *error)
{
	return KIOKU_OK;
}

static enum kioku_status data(struct image_writer *writer, const struct capture_block *block,
			      struct kioku_error *error)
{
	return writer_emit(writer, block->data, block->size, error);
}

static enum kioku_status end(struct image_writer *writer, bool complete, struct kioku_error *error)
{
	return KIOKU_OK;
}

const struct writer_format raw_writer = {
	.public = { "raw", "raw",
		    "memory alone, ranges one after another; addresses are in the "
		    "manifest only" },
	.begin = begin,
	.data = data,
	.end = end,
};
