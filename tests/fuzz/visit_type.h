/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Looks at a type in every way, whatever it was read from. */
#ifndef TESTS_FUZZ_VISIT_TYPE_H
#define TESTS_FUZZ_VISIT_TYPE_H

#include <string.h>

#include "fuzz.h"
#include "type/types.h"

/* A type that calls itself "struct list" is asked for like the struct that is called "list". */
static inline bool is_asked_for(const char *found, const char *name)
{
	size_t length = strlen(name), ending = strlen(found);

	return ending <= length && strcmp(name + length - ending, found) == 0 &&
	       (ending == length || name[length - ending - 1] == ' ');
}

/* *prints: true at first; one that is as long as may be is the last to be printed, as several take too long. */
static inline void visit_type(const struct kioku_types *types, uint32_t id, bool *prints)
{
	const char *name = kioku_type_name(types, id);
	struct kioku_member member;
	uint64_t value;
	uint32_t found;
	char *text;

	if (kioku_types_find(types, name, &found, NULL) == KIOKU_OK)
		FUZZ_CHECK(is_asked_for(kioku_type_name(types, found), name));
	(void)kioku_type_size(types, id);
	(void)types_enum_value(types, name, "RED", &value);
	for (uint32_t i = 0; i < 4 && kioku_type_member_at(types, id, i, &member); i++)
		(void)!kioku_type_member(types, id, member.name, &member, NULL);
	if (!*prints)
		return;
	enum kioku_status status = kioku_type_print(types, id, &text, NULL);
	if (status == KIOKU_OK)
		free(text);
	*prints = status != KIOKU_ERROR_LIMIT;
}

#endif
