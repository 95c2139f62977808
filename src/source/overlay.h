/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the manifest beside an image (IMAGE.manifest.json) says of its memory, laid over what the
 * image says itself: where the ranges of a headerless one belong, and what became of each page.
 */
#ifndef SOURCE_OVERLAY_H
#define SOURCE_OVERLAY_H

#include "format/manifest_format.h"
#include "source/driver.h"

struct overlay {
	struct manifest manifest;
	bool is_used;
	uint64_t stored_size; /* bytes of raw images */
	bool stores_all;      /* these hold all ranges, and not only those that are there */
};

/*
 * Reads the manifest beside a source whose file is open and whose driver is known, if there is one; it
 * is not used, with a diagnostic, where it cannot be understood or is not about this file.
 * overlay_release() in any case. Errors: NO_MEMORY.
 */
enum kioku_status overlay_open(struct overlay *overlay, struct kioku_source *source,
			       const char *path, struct kioku_error *error);

/* Whether it says where the bytes of a headerless image belong. */
bool overlay_can_place(const struct overlay *overlay);

/* Adds the layout of such an image. Errors: NO_MEMORY. */
enum kioku_status overlay_place(const struct overlay *overlay, struct kioku_source *source,
				struct kioku_error *error);

/* Changes the only layout of a source, and fills in source->states. Errors: NO_MEMORY. */
enum kioku_status overlay_apply(const struct overlay *overlay, struct kioku_source *source,
				struct kioku_error *error);

void overlay_release(struct overlay *overlay);

#endif
