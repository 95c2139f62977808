/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What can be said about options before anything is done. */
#ifndef CAPTURE_CAPTURE_OPTIONS_H
#define CAPTURE_CAPTURE_OPTIONS_H

#include <kioku/capture.h>

#include "capture/codec.h"

/* Fills in members that a caller compiled against an older header does not have. Errors: ARGUMENT. */
enum kioku_status options_complete(const struct kioku_capture_options *given,
				   struct kioku_capture_options *out, struct kioku_error *error);

/* codec: the one that was chosen, or NULL. Errors: ARGUMENT, OS (the key cannot be read). */
enum kioku_status options_check(const struct kioku_capture_options *options, bool has_manifest,
				const struct codec *codec, struct kioku_error *error);

/* How many threads of a kind. */
unsigned options_threads(const struct kioku_capture_options *options);

#endif
