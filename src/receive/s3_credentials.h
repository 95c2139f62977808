/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who an object store is told that we are. */
#ifndef RECEIVE_S3_CREDENTIALS_H
#define RECEIVE_S3_CREDENTIALS_H

#include "base/error.h"

struct s3_credentials {
	char access_key[256];
	char secret_key[256];
	char session_token[8192]; /* "" if there is none */
};

/*
 * path: a file like ~/.aws/credentials, of which the section [default] counts; NULL: the environment
 * has them in AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN. Errors: ARGUMENT (not
 * there, or not printable), OS.
 */
enum kioku_status s3_credentials_load(const char *path, struct s3_credentials *out,
				      struct kioku_error *error);

/* Nothing of them stays. */
void s3_credentials_wipe(struct s3_credentials *credentials);

#endif
