/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Uploads finished transfers to S3-compatible object storage: AWS Signature Version 4, parts of at
 * least 8 MiB in sequence, each with its SHA-256, tried again with back-off. Path-style addresses.
 */
#ifndef RECEIVE_UPLOAD_H
#define RECEIVE_UPLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"

struct store_options {
	const char *url;         /* https://HOST[:PORT]/BUCKET[/PREFIX]; http:// only to loopback */
	const char *region;      /* NULL: us-east-1 */
	const char *credentials; /* file; NULL: the environment */
	const char *ca;          /* PEM; NULL: the system's */
	/* For tests; otherwise 0. */
	uint64_t part_size;     /* bytes of a part, however small */
	unsigned pause_ms;      /* before something is tried again, first; it is doubled then */
	unsigned stall_seconds; /* without a byte, after which a link is lost */
};

struct store;

/* Of an upload, in bytes of files; for other threads to look at. */
struct store_progress {
	_Atomic uint64_t stored, size;
};

/*
 * Checks the options, but does not talk to the store. Credentials are read again for each upload, so
 * that they may be replaced, and are not kept meanwhile.
 * Errors: ARGUMENT, UNSUPPORTED (a build without libcurl), OS (the file), NO_MEMORY.
 */
enum kioku_status store_open(const struct store_options *options, struct store **out,
			     struct kioku_error *error);
void store_close(struct store *store);

/*
 * Uploads every regular file of a folder as PREFIX/NAME/FILE, the manifest last, so that a manifest
 * in the store means that all is there; NAME is the folder's own name. What the store has already,
 * with that size and digest, is not sent again. progress may be NULL. goes_on, which may be NULL: asked before each part
 * and some times a second; false ends with STOPPED.
 * Blocks; used by one thread; SIGPIPE must be ignored. Errors: OS (a file; the link, after several
 * tries), REFUSED (by the store; its certificate), CORRUPT (the store has something else), ARGUMENT
 * (credentials), STOPPED, NO_MEMORY.
 */
enum kioku_status store_upload(struct store *store, const char *folder,
			       struct store_progress *progress, bool (*goes_on)(void *user),
			       void *user, struct kioku_error *error);

/* Where a folder's files are, for messages: without credentials. */
void store_url(const struct store *store, const char *folder, char *out, size_t size);

DEFINE_CLEANUP(store, struct store, store_close)
#define AUTO_STORE CLEANUP(cleanup_store)

#endif
