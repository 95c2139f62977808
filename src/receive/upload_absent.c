/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Instead of upload.c where there is no libcurl. */
#include "receive/upload.h"

enum kioku_status store_open(const struct store_options *options, struct store **out,
			     struct kioku_error *error)
{
	*out = NULL;
	return error_set(error, KIOKU_ERROR_UNSUPPORTED,
			 "this build cannot upload to a store: it was made without libcurl");
}

void store_close(struct store *store)
{
}

enum kioku_status store_upload(struct store *store, const char *folder,
			       struct store_progress *progress, bool (*goes_on)(void *user),
			       void *user, struct kioku_error *error)
{
	return error_set(error, KIOKU_ERROR_UNSUPPORTED, "made without libcurl");
}

void store_url(const struct store *store, const char *folder, char *out, size_t size)
{
	if (size > 0)
		*out = '\0';
}
