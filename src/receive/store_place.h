/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where in an object store something is: https://HOST[:PORT]/BUCKET[/PREFIX], path-style. */
#ifndef RECEIVE_STORE_PLACE_H
#define RECEIVE_STORE_PLACE_H

#include "base/error.h"

struct store_place {
	char *origin; /* "https://HOST[:PORT]", or http:// */
	char *host;   /* "HOST[:PORT]", which points into origin */
	char *path;   /* "/BUCKET[/PREFIX]", encoded */
	char *region;
};

/*
 * region: NULL: us-east-1. %XX is understood in the URL's path. Errors: ARGUMENT: also http to what is
 * not loopback, so that neither images nor credentials are sent where others listen; NO_MEMORY.
 * store_place_release() in any case.
 */
enum kioku_status store_place_parse(const char *url, const char *region, struct store_place *out,
				    struct kioku_error *error);
void store_place_release(struct store_place *place);

/* The path of a file in a folder, or with "" of the folder itself, encoded. NULL: no memory. */
char *store_place_path(const struct store_place *place, const char *folder, const char *file);

/* The last part of a path; NULL: it has none, as "/" or "..", or no memory. */
char *store_folder_name(const char *path);

#endif
