/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One run of kioku_verify(), shared by what it consists of. */
#ifndef CAPTURE_VERIFICATION_H
#define CAPTURE_VERIFICATION_H

#include <kioku/verify.h>

#include "base/bytes.h"
#include "base/diagnostic.h"

struct verification {
	const char *path; /* of the image */
	struct kioku_verify_options options;
	struct diagnostics diagnostics;
	struct kioku_verify_result *result;
	struct kioku_error *error;
	int descriptor; /* of the image */
	bool is_device; /* a block device: longer than what was written to it */
	bool is_damaged, is_prefix;
};

/* Tells the caller. Damage with a size, or without: size 0. Errors: STOPPED. */
enum kioku_status verification_report(struct verification *verification, uint64_t offset,
				      uint64_t size, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* Opens what can be read at any place; a pipe would hang. Errors: OS, ARGUMENT. */
enum kioku_status verification_open(const char *path, int *out, bool *is_device,
				    struct kioku_error *error);

/* A whole file of at most limit bytes, for the caller to free. Errors: OS, NO_MEMORY, CORRUPT. */
enum kioku_status verification_load(const char *path, size_t limit, struct bytes *out,
				    struct kioku_error *error);

/* Whether an error only says that a file is not there. */
bool is_absent(const struct kioku_error *error);

/* The bytes of the image file as it is now. */
uint64_t verification_size(const struct verification *verification);

#endif
