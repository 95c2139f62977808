/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is said of a capture: the journal's head before it, manifest and digest files after it. */
#ifndef CAPTURE_ACCOUNT_H
#define CAPTURE_ACCOUNT_H

#include "capture/memory.h"
#include "capture/naming.h"

struct account {
	struct manifest manifest;
	struct naming naming;
	struct destination_file *journal; /* owned; NULL: there is none */
};

/*
 * What is known before anything is read. image: its path, NULL for a stream. account_release() in any
 * case, before the destination is closed.
 * Errors: NO_MEMORY.
 */
enum kioku_status account_begin(struct account *account, struct kioku_source *source,
				const char *image, const struct writer_format *format,
				const struct codec *codec, const struct plan *plan,
				struct kioku_error *error);

/* Creates the journal with its head. Errors: ARGUMENT (it exists), OS, NO_MEMORY. */
enum kioku_status account_open_journal(struct account *account, struct destination *destination,
				       struct kioku_error *error);

/* What came of it, once all threads have ended; takes from memory and output. Errors: NO_MEMORY. */
enum kioku_status account_finish(struct account *account, struct kioku_source *source,
				 struct memory *memory, struct image_output *output,
				 struct kioku_error *error);

/* Writes IMAGE.md5 and IMAGE.sha256, as far as there are digests. Errors: OS, ARGUMENT. */
enum kioku_status account_write_digests(const struct account *account,
					struct destination *destination, struct kioku_error *error);

/*
 * Writes the manifest, signed if there is a key, so that it appears whole or not at all, and then
 * removes the journal. Errors: OS, NO_MEMORY, ARGUMENT (the key).
 */
enum kioku_status account_write_manifest(struct account *account, struct destination *destination,
					 const char *signing_key, struct kioku_error *error);

void account_release(struct account *account);

#endif
