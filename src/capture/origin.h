/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where an image that is converted came from: what was noted down beside it. */
#ifndef CAPTURE_ORIGIN_H
#define CAPTURE_ORIGIN_H

#include "format/manifest_format.h"
#include "source/source.h"

/*
 * Takes over the machine's facts and the image's SHA-256 from IMAGE.manifest.json beside a source,
 * or the latter from IMAGE.sha256, if there are any that are about a file of this size. False: no
 * memory.
 */
bool origin_note(const struct kioku_source *source, struct manifest *manifest);

#endif
