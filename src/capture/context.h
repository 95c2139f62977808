/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What makes an image of this machine readable for ever, as one small archive beside it: a tar in
 * gzip with the files of /proc and /sys that tell where memory is and what kernel runs in it.
 */
#ifndef CAPTURE_CONTEXT_H
#define CAPTURE_CONTEXT_H

#include "base/diagnostic.h"
#include "base/error.h"
#include "format/manifest_format.h"
#include "source/source.h"
#include "transfer/destination.h"

/*
 * Writes the archive of the machine this runs on; source is that machine's, and gives VMCOREINFO.
 * Nothing is changed to see more: addresses that kptr_restrict hides are zeros, and a note says so.
 * What this kernel does not have is left out. *out: name, size and digest, allocated; for the
 * caller to free also after an error. Needs about 0.5 MiB of memory.
 * Errors: ARGUMENT (name exists), OS (it cannot be written), NO_MEMORY.
 */
enum kioku_status context_write(struct destination *destination, const char *name,
				const struct kioku_source *source,
				const struct diagnostics *diagnostics, struct manifest_file *out,
				struct kioku_error *error);

/* The same with another folder in the place of /, for tests. */
enum kioku_status context_write_from(const char *root, struct destination *destination,
				     const char *name, const char *vmcoreinfo,
				     size_t vmcoreinfo_size, const struct diagnostics *diagnostics,
				     struct manifest_file *out, struct kioku_error *error);

#endif
