/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "layout/compiler.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/scan.h"
#include "layout/build_tree.h"

static bool is_in_path(const char *name)
{
	const char *path = getenv("PATH");

	for (size_t size; path && *path; path += size + (path[size] == ':')) {
		char whole[4096];
		size = strcspn(path, ":");
		if (snprintf(whole, sizeof(whole), "%.*s/%s", (int)size, path, name) <
			    (int)sizeof(whole) &&
		    access(whole, X_OK) == 0)
			return true;
	}
	return false;
}

/* The word that starts somewhere, up to a blank. */
static struct bytes word_at(struct bytes text, size_t start)
{
	size_t end = start;

	while (end < text.size && text.data[end] != ' ')
		end++;
	return (struct bytes){ text.data + start, end - start };
}

/* The version of gcc is the last word, that of clang stands behind "clang version". */
static struct bytes version_of(struct bytes text, bool is_clang)
{
	static const char mark[] = "clang version ";
	const uint8_t *at = is_clang ? memmem(text.data, text.size, mark, strlen(mark)) : NULL;
	size_t start = text.size;

	if (at)
		return word_at(text, (size_t)(at - text.data) + strlen(mark));
	while (start > 0 && text.data[start - 1] != ' ')
		start--;
	return word_at(text, start);
}

void compiler_choose(struct bytes text, char *out, size_t size)
{
	bool is_clang = memmem(text.data, text.size, "clang", strlen("clang"));
	const char *family = is_clang ? "clang" : "gcc";
	struct bytes name = word_at(text, 0), version = version_of(text, is_clang);
	size_t major = 0;

	while (major < version.size && version.data[major] >= '0' && version.data[major] <= '9')
		major++;
	if (major > 0 && major < 4) {
		snprintf(out, size, "%s-%.*s", family, (int)major, version.data);
		if (is_in_path(out))
			return;
	}
	/* Such as x86_64-linux-gnu-gcc. */
	snprintf(out, size, "%.*s", (int)(name.size < size ? name.size : 0), name.data);
	if (!is_clang && memmem(name.data, name.size, "gcc", strlen("gcc")) && !strchr(out, '/') &&
	    build_path_is_plain(out) && is_in_path(out))
		return;
	snprintf(out, size, "%s", family);
}
