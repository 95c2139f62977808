/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/banner.h"

static bool is_of_version(uint8_t c)
{
	return (c >= '0' && c <= '9') || c == '.';
}

bool banner_has_version(struct bytes banner, struct bytes version)
{
	const uint8_t *end = banner.data + banner.size;

	for (const uint8_t *at = banner.data;
	     (at = memmem(at, (size_t)(end - at), version.data, version.size)); at++) {
		const uint8_t *behind = at + version.size;
		if ((at == banner.data || !is_of_version(at[-1])) &&
		    (behind == end || !is_of_version(*behind)))
			return true;
	}
	return false;
}

/* Bytes up to and with the second dot; 0: there are no two. */
static size_t series_size(struct bytes text)
{
	unsigned dots = 0;

	for (size_t i = 0; i < text.size && is_of_version(text.data[i]); i++)
		if (text.data[i] == '.' && ++dots == 2)
			return i + 1;
	return 0;
}

bool banner_may_be_version(struct bytes release, struct bytes version)
{
	size_t size = series_size(release);

	return size > 0 && size == series_size(version) &&
	       memcmp(release.data, version.data, size) == 0 && bytes_match(release, size, "0") &&
	       (size + 1 == release.size || !is_of_version(release.data[size + 1]));
}
