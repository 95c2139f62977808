/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* BTF, all of whose types are looked at in every way. */
#include <string.h>

#include "fuzz.h"
#include "type/types.h"

static void visit(const struct kioku_types *types, uint32_t id)
{
	struct kioku_member member;
	uint32_t found;
	char *text;

	const char *name = kioku_type_name(types, id);
	if (kioku_types_find(types, name, &found, NULL) == KIOKU_OK)
		FUZZ_CHECK(strcmp(kioku_type_name(types, found), name) == 0);
	(void)kioku_type_size(types, id);
	for (uint32_t i = 0; i < 4 && kioku_type_member_at(types, id, i, &member); i++)
		(void)!kioku_type_member(types, id, member.name, &member, NULL);
	if (kioku_type_print(types, id, &text, NULL) == KIOKU_OK)
		free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct window window = { .data = data, .size = size };
	struct kioku_types *types = NULL;
	uint64_t offset, length;

	if (btf_locate(&window, &offset, &length))
		FUZZ_CHECK(offset + length <= size);
	void *copy = malloc(size ? size : 1);
	FUZZ_CHECK(copy);
	if (size)
		memcpy(copy, data, size);
	if (types_from_btf(copy, size, &types, NULL) != KIOKU_OK)
		return 0;
	uint32_t count = kioku_types_count(types);
	for (uint32_t id = 0; id <= count && id < 50; id++)
		visit(types, id);
	types_close(types);
	return 0;
}
