/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What takes long on a large file, in steps, so that the sender hears of us meanwhile. */
#ifndef RECEIVE_FILE_CHECK_H
#define RECEIVE_FILE_CHECK_H

#include "format/transfer_format.h"
#include "transfer/local_file.h"

/*
 * Reads all of a file. md5 is zeros where OpenSSL refuses it. goes_on: false ends it with STOPPED.
 * Errors: OS, STOPPED, UNSUPPORTED, NO_MEMORY.
 */
enum kioku_status file_digest(const struct local_file *file, const char *name,
			      uint8_t md5[TRANSFER_MD5_SIZE], uint8_t sha256[TRANSFER_SHA256_SIZE],
			      bool (*goes_on)(void *user), void *user, struct kioku_error *error);

/* Brings a file to the disk, and drops it from the page cache. Errors: OS, STOPPED. */
enum kioku_status file_flush(struct local_file *file, const char *name, bool (*goes_on)(void *user),
			     void *user, struct kioku_error *error);

#endif
