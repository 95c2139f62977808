/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A module's BTF, which counts on from the kernel's: the input is both, one after the other. */
#include <string.h>

#include "fuzz.h"
#include "type/types.h"

/* Takes the first whole BTF of the input off it. */
static struct kioku_types *open_base(const uint8_t *data, size_t *size)
{
	struct kioku_types *types = NULL;
	uint64_t claimed = btf_claimed_size((struct bytes){ data, *size });
	size_t taken = claimed && claimed < *size ? claimed : *size;
	void *copy = malloc(taken ? taken : 1);

	FUZZ_CHECK(copy);
	if (taken)
		memcpy(copy, data, taken);
	*size = taken;
	return types_from_btf(copy, taken, &types, NULL) == KIOKU_OK ? types : NULL;
}

static void visit(const struct kioku_types *types, uint32_t id)
{
	struct kioku_member member;
	uint64_t value;
	uint32_t found;
	char *text;

	const char *name = kioku_type_name(types, id);
	if (kioku_types_find(types, name, &found, NULL) == KIOKU_OK)
		FUZZ_CHECK(strcmp(kioku_type_name(types, found), name) == 0);
	(void)kioku_type_size(types, id);
	(void)types_enum_value(types, name, "RED", &value);
	for (uint32_t i = 0; i < 4 && kioku_type_member_at(types, id, i, &member); i++)
		(void)!kioku_type_member(types, id, member.name, &member, NULL);
	if (kioku_type_print(types, id, &text, NULL) == KIOKU_OK)
		free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kioku_types *types = NULL;
	size_t taken = size;

	struct kioku_types *base = open_base(data, &taken);
	if (!base)
		return 0;
	void *copy = malloc(size - taken + 1);
	FUZZ_CHECK(copy);
	memcpy(copy, data + taken, size - taken);
	if (types_from_split_btf(base, copy, size - taken, &types, NULL) == KIOKU_OK) {
		uint32_t count = kioku_types_count(types), own = kioku_types_count(base);
		FUZZ_CHECK(count > own);
		for (uint32_t id = own < 10 ? 0 : own - 10; id <= count && id < own + 40; id++)
			visit(types, id);
	}
	types_close(types);
	types_close(base);
	return 0;
}
