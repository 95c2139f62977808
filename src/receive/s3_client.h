/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Signed requests to an S3-compatible object store, by libcurl, tried again with back-off. */
#ifndef RECEIVE_S3_CLIENT_H
#define RECEIVE_S3_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/digest.h"
#include "base/error.h"
#include "format/s3_format.h"
#include "receive/s3_credentials.h"

/* Where and how; texts are borrowed for as long as the client lives. */
struct s3_client_options {
	const char *origin; /* "https://HOST[:PORT]", or http:// */
	const char *host;   /* "HOST[:PORT]", as the server is told */
	const char *region;
	const char *ca; /* PEM; NULL: the system's */
	unsigned pause_ms, stall_seconds;
	bool (*goes_on)(void *user); /* may be NULL */
	void *user;
};

struct s3_client;

/* Errors: those of s3_credentials_load(). */
enum kioku_status s3_client_open(const struct s3_client_options *options, const char *credentials,
				 struct s3_client **out, struct kioku_error *error);
void s3_client_close(struct s3_client *client);

struct s3_request {
	const char *method;       /* HEAD, PUT, POST, DELETE */
	const char *path, *query; /* as for struct sigv4_request */
	const char *meta_sha256;  /* x-amz-meta-sha256, or NULL */
	const char *root;         /* element that the answer must be; NULL: does not matter */
	/* The body: size bytes of a file from an offset on, or, with data, those; only of PUT and POST. */
	int file;
	const char *data;
	uint64_t offset, size;
	const char *sha256; /* of the body; NULL: it is empty */
	bool is_slow;       /* the store may think for minutes before it answers */
	bool is_farewell;   /* sent once, even when goes_on() says no */
};

struct s3_reply {
	long http_status; /* 0: none came */
	uint64_t size;    /* Content-Length */
	char etag[S3_TEXT_SIZE];
	char sha256[DIGEST_HEX_SIZE]; /* x-amz-meta-sha256; "" */
	struct s3_answer answer;
};

/*
 * Errors: OS, REFUSED, STOPPED, NO_MEMORY; CORRUPT: the store says by an MD5 that it got something
 * else than the part of a file that was sent. *reply is that of the last try. What is sent from a file
 * is answered with an ETag.
 */
enum kioku_status s3_request(struct s3_client *client, const struct s3_request *request,
			     struct s3_reply *reply, struct kioku_error *error);

DEFINE_CLEANUP(s3_client, struct s3_client, s3_client_close)
#define AUTO_S3_CLIENT CLEANUP(cleanup_s3_client)

#endif
