/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whole files against one or more digests, in one pass. */
#ifndef CAPTURE_DIGEST_CHECK_H
#define CAPTURE_DIGEST_CHECK_H

#include "capture/verification.h"
#include "format/digest_format.h"

/* A digest that a file should have. */
struct known_digest {
	const char *algorithm; /* OpenSSL's name */
	size_t size;           /* bytes */
	uint8_t value[DIGEST_SIZE_MAX];
	bool may_be_inflated; /* of a zlib stream's content, as LiME with compress=1 has it */
	bool fits;            /* the result */
};

/*
 * Reads a file to its end and sets fits; *read are the bytes it had. progress may be NULL. Errors:
 * OS (address: where reading failed), UNSUPPORTED (an algorithm), NO_MEMORY, STOPPED.
 */
enum kioku_status digest_check(int descriptor, struct known_digest *known, size_t count,
			       uint64_t *read, const struct kioku_verify_options *progress,
			       struct kioku_error *error);

/* From hexadecimal of the right length, or false. */
bool known_digest_set(struct known_digest *known, const char *algorithm, const char *text);

/* Whether a path ends in the name of an algorithm, as digest files do. */
bool is_digest_path(const char *path);

/*
 * Checks the image against the digest files beside it, or those of one path if that is given.
 * Errors: NOT_FOUND (there is none), CORRUPT (one is none), and those of digest_check().
 */
enum kioku_status verify_by_digests(struct verification *verification, const char *path);

/* Checks the image against known digests, and reports. what: where they come from. */
enum kioku_status verify_digests(struct verification *verification, struct known_digest *known,
				 size_t count, const char *what);

#endif
