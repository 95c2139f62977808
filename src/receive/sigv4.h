/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * AWS Signature Version 4 in an Authorization header, as Amazon S3 has it: paths are encoded once.
 * libcurl's own (7.88) leaves queries and special characters as they come.
 */
#ifndef RECEIVE_SIGV4_H
#define RECEIVE_SIGV4_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

struct sigv4_header {
	const char *name;  /* in lower case */
	const char *value; /* without spaces around it, or two in a row */
};

struct sigv4_request {
	const char *method;
	const char *path;                   /* sigv4_encode() */
	const char *query;                  /* "NAME=VALUE&...", encoded and sorted; "" */
	const struct sigv4_header *headers; /* sorted by name; they have host and x-amz-date */
	size_t header_count;
	const char *payload; /* its SHA-256 in hexadecimal */
	const char *time;    /* "20130524T000000Z" */
	const char *region, *service;
};

/* The value of the header, allocated. Errors: NO_MEMORY, also if OpenSSL refuses. */
enum kioku_status sigv4_sign(const struct sigv4_request *request, const char *access_key,
			     const char *secret_key, char **out, struct kioku_error *error);

/*
 * What may stand in a path or a query: letters, digits and "-._~" as they are, other bytes as %XX, a
 * slash only in a path as it is. Allocated; NULL: no memory.
 */
char *sigv4_encode(const char *text, bool is_path);

#endif
