/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which formats and codecs there are, and which of them a file's name asks for. */
#ifndef CAPTURE_WRITERS_H
#define CAPTURE_WRITERS_H

#include "capture/codec.h"
#include "capture/writer.h"

/*
 * By the names given, or NULL for what the destination's extensions say: x.lime, x.elf.zst. A stream
 * is the first format there is, not packed. The memory of a process becomes a "core" whatever its name,
 * of which the codec alone is taken, and other memory never does. *codec: NULL for none. Errors:
 * ARGUMENT.
 */
enum kioku_status writers_choose(bool is_process, const char *destination, const char *format,
				 const char *codec, const struct writer_format **out_format,
				 const struct codec **out_codec, struct kioku_error *error);

#endif
