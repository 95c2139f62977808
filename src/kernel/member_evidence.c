/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/member_evidence.h"

/* What comes before a character, and is taken off the front with it; no data if there is none. */
static struct bytes cut(struct bytes *text, char at)
{
	const uint8_t *end = text->size ? memchr(text->data, at, text->size) : NULL;

	if (!end)
		return (struct bytes){ 0 };
	struct bytes part = { text->data, (size_t)(end - text->data) };
	*text = (struct bytes){ end + 1, text->size - part.size - 1 };
	return part;
}

static bool is_text(struct bytes bytes, const char *text, size_t size)
{
	return bytes.data && bytes.size == size && memcmp(bytes.data, text, size) == 0;
}

struct bytes member_evidence_find(struct bytes text, const char *type, const char *path)
{
	struct bytes line;

	while ((line = cut(&text, '\n')).data) {
		struct bytes of_type = cut(&line, '\t'), member = cut(&line, '\t');
		if (is_text(of_type, type, strlen(type)) &&
		    is_text(member, path, strcspn(path, ".")))
			return line;
	}
	return (struct bytes){ 0 };
}
