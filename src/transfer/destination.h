/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where the files of a capture go: a folder of this machine, a stream that has room for one file and
 * no names, a far machine. A destination is opened by its name:
 *   PATH, -                  a file here; the standard output
 *   tcp://HOST:PORT          connects;      tcp-listen://[ADDR]:PORT  waits for one client
 *   ssh://[USER@]HOST[:PORT]/PATH
 *   kioku://HOST:PORT/NAME#KEY
 * Nothing that is there already is ever overwritten.
 */
#ifndef TRANSFER_DESTINATION_H
#define TRANSFER_DESTINATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/diagnostic.h"
#include "base/digest.h"
#include "base/error.h"

struct destination_options {
	const char *token_file; /* of kioku://: a key or a token, instead of the URL's; or NULL */
	unsigned retry;         /* seconds for which a lost link is tried again */
	uint64_t expected;      /* bytes of memory that will be captured: an announcement */
	/*
	 * Asked some times a second while destination_open() waits, in its thread; false: stop
	 * waiting. NULL: wait.
	 */
	bool (*goes_on)(void *user);
	void *user;
	/* Told from any thread, until the destination is closed; may be NULL. */
	const struct diagnostics *diagnostics;
};

struct destination;
struct destination_file;

/* What is known before anything is opened. */
struct destination_outline {
	char *name;     /* of the image, allocated: a path, or a URL's path; "" of a stream */
	bool is_local;  /* a path, so that name stands in a folder of this machine */
	bool is_stream; /* there is one file, written in sequence, and no other */
};

/* Errors: ARGUMENT, NO_MEMORY. The caller frees out->name. */
enum kioku_status destination_outline(const char *where, struct destination_outline *out,
				      struct kioku_error *error);

/*
 * Whether the image could be created there, as far as that can be told before anything is opened or made. Errors: as
 * destination_create().
 */
enum kioku_status destination_check(const char *where, const struct destination_options *options,
				    struct kioku_error *error);

/*
 * where: as above, of the image; a path's folder need not be writable before a file is created.
 * Errors: ARGUMENT (no such scheme, not a numeric address), REFUSED (by the far side; another key),
 * OS, STOPPED (by goes_on), UNSUPPORTED, NO_MEMORY.
 */
enum kioku_status destination_open(const char *where, const struct destination_options *options,
				   struct destination **out, struct kioku_error *error);

/* Releases it, whatever state it is in; files that were not finished stay as they are. */
void destination_close(struct destination *destination);

/* Whether files are written at any offset. */
bool destination_can_seek(const struct destination *destination);

/* For messages: without secrets, "" for files of this machine. */
const char *destination_label(const struct destination *destination);

/* What the far side calls the place, once it is known; NULL if there is nothing to tell. */
const char *destination_place(const struct destination *destination);

/*
 * From now on a link that is lost is given up after some seconds: the user wants to stop. From any
 * thread.
 */
void destination_hurry(struct destination *destination);

/*
 * Makes a new file, for its owner only. name: that of struct destination_outline, or that with a
 * suffix; of a stream, anything. has_digest: its SHA-256 will be known at the end, so that the far
 * side had better compute it, too, as the bytes come in. Errors: ARGUMENT (it is there already, or is not allowed), OS, REFUSED.
 */
enum kioku_status destination_create(struct destination *destination, const char *name,
				     bool has_digest, struct destination_file **out,
				     struct kioku_error *error);

/* Renames a finished file; both names are on the disk, or on their way there, afterwards. */
enum kioku_status destination_replace(struct destination *destination, const char *from,
				      const char *to, struct kioku_error *error);

/* Removes a file. It does not matter if that fails. */
void destination_remove(struct destination *destination, const char *name);

/*
 * Waits until the far side has everything, and has compared it. complete: the image is whole; lost:
 * bytes of memory that are missing in it. Files must have been closed. Errors: OS, REFUSED, CORRUPT
 * (the far side has something else).
 */
enum kioku_status destination_finish(struct destination *destination, bool complete, uint64_t lost,
				     struct kioku_error *error);

/* --- files. One thread at a time for each; different ones may be used by different threads. */

/* Writes at an offset, which is the end where it cannot seek. *written: how much, also after an
 * error. Errors: OS, REFUSED. */
enum kioku_status destination_file_write(struct destination_file *file, uint64_t offset,
					 const void *data, size_t size, size_t *written,
					 struct kioku_error *error);

/* Makes [offset, offset + size), which was not written yet, zeros; only where it can seek. */
enum kioku_status destination_file_hole(struct destination_file *file, uint64_t offset,
					uint64_t size, struct kioku_error *error);

/* What it was created as; for a stream, the other side's address. */
const char *destination_file_name(const struct destination_file *file);

/* Bytes so far, holes included. */
uint64_t destination_file_size(const struct destination_file *file);

/*
 * All of it is written. sha256: of all of it, for the far side to compare, or NULL.
 * digests, where not NULL: the file is read back for them, where it is; only where it can seek.
 * progress may be NULL; false ends it with STOPPED. A local file is on the disk afterwards.
 * Errors: OS, REFUSED, CORRUPT (another digest), STOPPED.
 */
enum kioku_status destination_file_finish(struct destination_file *file, const uint8_t *sha256,
					  struct file_digests *digests,
					  bool (*progress)(void *user), void *user,
					  struct kioku_error *error);

/* Releases it; NULL is allowed. */
void destination_file_close(struct destination_file *file);

DEFINE_CLEANUP(destination, struct destination, destination_close)
#define AUTO_DESTINATION CLEANUP(cleanup_destination)
DEFINE_CLEANUP(destination_file, struct destination_file, destination_file_close)
#define AUTO_DESTINATION_FILE CLEANUP(cleanup_destination_file)

#endif
