/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "capture/naming.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* size bytes of a path and a suffix. */
static char *join(const char *path, size_t size, const char *suffix)
{
	char *joined = malloc(size + strlen(suffix) + 1);

	if (joined) {
		memcpy(joined, path, size);
		strcpy(joined + size, suffix);
	}
	return joined;
}

/* The size of a path without its suffix; all of it if it has another. */
static size_t size_without(const char *path, const char *suffix)
{
	size_t size = strlen(path), cut = strlen(suffix);

	return size > cut && strcmp(path + size - cut, suffix) == 0 ? size - cut : size;
}

static bool name_manifest(struct naming *naming, const char *path)
{
	size_t stem = size_without(path, ".json");

	naming->manifest = join(path, strlen(path), "");
	naming->unfinished = join(path, strlen(path), ".new");
	naming->signature = join(path, strlen(path), ".sig");
	naming->journal = join(path, stem, ".partial");
	return naming->manifest && naming->unfinished && naming->signature && naming->journal;
}

static bool name_sidecars(struct naming *naming, const char *stem, size_t size)
{
	naming->context = join(stem, size, ".context.tar.gz");
	naming->swap = join(stem, size, "");
	return naming->context && naming->swap;
}

static bool name_digests(struct naming *naming, const char *image)
{
	naming->md5 = join(image, strlen(image), ".md5");
	naming->sha256 = join(image, strlen(image), ".sha256");
	return naming->md5 && naming->sha256;
}

static bool name_all(struct naming *naming, const char *image, const char *manifest)
{
	if (!image)
		return !manifest ||
		       (name_manifest(naming, manifest) &&
			name_sidecars(naming, manifest, size_without(manifest, ".manifest.json")));
	char *beside = join(image, strlen(image), ".manifest.json");
	bool named = beside && name_manifest(naming, manifest ? manifest : beside) &&
		     name_sidecars(naming, image, strlen(image)) && name_digests(naming, image);
	free(beside);
	return named;
}

enum kioku_status naming_make(struct naming *naming, const char *image, const char *manifest,
			      struct kioku_error *error)
{
	*naming = (struct naming){ 0 };
	return name_all(naming, image, manifest) ? KIOKU_OK : error_no_memory(error);
}

void naming_release(struct naming *naming)
{
	free(naming->manifest);
	free(naming->unfinished);
	free(naming->journal);
	free(naming->signature);
	free(naming->context);
	free(naming->swap);
	free(naming->md5);
	free(naming->sha256);
	*naming = (struct naming){ 0 };
}

enum kioku_status naming_check_new(const struct naming *naming, struct kioku_error *error)
{
	const char *const paths[] = { naming->manifest,  naming->unfinished, naming->journal,
				      naming->signature, naming->context,    naming->md5,
				      naming->sha256 };
	struct stat status;

	for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++)
		if (paths[i] && lstat(paths[i], &status) == 0)
			return error_set(error, KIOKU_ERROR_ARGUMENT, "%s exists already",
					 paths[i]);
	return KIOKU_OK;
}

const char *naming_base(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}
