/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "place.h"

static bool has_scheme(const char *place, const char *scheme)
{
	size_t length = strlen(scheme);

	return strncmp(place, scheme, length) == 0 && strncmp(place + length, "://", 3) == 0;
}

bool place_is_stream(const char *place)
{
	return strcmp(place, "-") == 0 || has_scheme(place, "tcp") ||
	       has_scheme(place, "tcp-listen");
}

bool place_is_far(const char *place)
{
	size_t length = strspn(place, "abcdefghijklmnopqrstuvwxyz-");

	return length > 0 && strncmp(place + length, "://", 3) == 0;
}

/* The length without a URL's fragment: a receiver's key. */
static size_t length_of(const char *place)
{
	return place_is_far(place) ? strcspn(place, "#") : strlen(place);
}

/* A receiver may be named without any path: kioku://HOST:PORT. */
static bool lacks_path(const char *place)
{
	const char *host = place_is_far(place) ? strstr(place, "://") : NULL;

	return host && !memchr(host + 3, '/', length_of(place) - (size_t)(host + 3 - place));
}

bool place_is_folder(const char *place)
{
	size_t length = length_of(place);
	struct stat status;

	if (place_is_stream(place) || length == 0)
		return false;
	if (place[length - 1] == '/' || lacks_path(place))
		return true;
	return !place_is_far(place) && stat(place, &status) == 0 && S_ISDIR(status.st_mode);
}

char *place_in_folder(const char *folder, const char *name)
{
	size_t length = length_of(folder);
	bool has_slash = length > 0 && folder[length - 1] == '/';
	char *path;

	if (asprintf(&path, "%.*s%s%s%s", (int)length, folder, has_slash ? "" : "/", name,
		     folder + length) < 0)
		return NULL;
	return path;
}
