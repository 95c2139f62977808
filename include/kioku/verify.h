/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Checking an image against what was noted down when it was made. */
#ifndef KIOKU_VERIFY_H
#define KIOKU_VERIFY_H

#include <kioku/error.h>

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

enum kioku_verdict {
	KIOKU_INTACT,  /* every byte that was asked for is as it was written */
	KIOKU_PREFIX,  /* what is there is as it was written, but the end is missing */
	KIOKU_DAMAGED, /* bytes, the manifest or its signature are not what they were */
};

/* Where the proof came from. */
enum kioku_proof {
	KIOKU_PROOF_MANIFEST, /* IMAGE.manifest.json */
	KIOKU_PROOF_JOURNAL,  /* IMAGE.manifest.partial, of a capture that was killed */
	KIOKU_PROOF_DIGEST,   /* IMAGE.sha256, IMAGE.md5, or LiME's IMAGE.ALGORITHM */
};

/* One finding: a run of damaged, missing or superfluous bytes of the image file. */
struct kioku_damage {
	uint64_t offset, size; /* bytes of the image file; size 0: not bound to bytes */
	uint64_t segment;      /* the first one's index, in a manifest's segments */
	const char *what;      /* "segment differs", "cut off", "signature does not fit" ... */
};

/* Called for each finding, in ascending order. False stops. */
typedef bool kioku_damage_fn(void *user, const struct kioku_damage *damage);
typedef bool kioku_verify_progress_fn(void *user, uint64_t done, uint64_t total);

struct kioku_verify_options {
	size_t size;          /* sizeof(struct kioku_verify_options) */
	const char *manifest; /* path; NULL: beside the image */
	const char
		*key; /* path of an Ed25519 public key in PEM that must have signed it; or NULL */
	uint64_t range_start, range_size; /* only these bytes of the image file; size 0: all */
	unsigned threads;                 /* 0: as many as there are CPUs */
	kioku_damage_fn *damage;          /* may be NULL */
	void *damage_user;
	kioku_verify_progress_fn *progress; /* may be NULL; false stops with STOPPED */
	void *progress_user;
	kioku_diagnostic_fn *diagnostic; /* may be NULL */
	void *diagnostic_user;
};

struct kioku_verify_result {
	enum kioku_verdict verdict;
	enum kioku_proof proof;
	char proof_path[4096];
	uint64_t checked;           /* bytes of the image that were compared */
	uint64_t segments, damaged; /* segments that were compared, and those that differ */
	bool is_signed, signature_checked;
};

/*
 * Checks an image: against its manifest, else against the journal of a capture that was killed, else
 * against digest files beside it. A manifest with a signature that was not asked for is told in the
 * result. Errors: NOT_FOUND (there is nothing to check it against), OS, CORRUPT or UNSUPPORTED (a
 * manifest that cannot be understood), ARGUMENT (the range lies outside, or a digest covers the whole
 * file; a key that is none), STOPPED (by a callback), NO_MEMORY. Bytes that cannot be read are damage
 * and no error.
 */
KIOKU_PUBLIC KIOKU_CHECK enum kioku_status kioku_verify(const char *image,
							const struct kioku_verify_options *options,
							struct kioku_verify_result *result,
							struct kioku_error *error);

#ifdef __cplusplus
}
#endif
#endif
