/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a manifest says of an image besides its pages: kept for whoever reports on it. */
#ifndef SOURCE_MANIFEST_FACTS_H
#define SOURCE_MANIFEST_FACTS_H

#include "source/overlay.h"

/* Fills in source->manifest, if the overlay is used. Errors: NO_MEMORY. */
enum kioku_status manifest_facts_keep(const struct overlay *overlay, struct kioku_source *source,
				      struct kioku_error *error);

void manifest_facts_release(struct kioku_source *source);

#endif
