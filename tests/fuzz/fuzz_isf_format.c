/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A symbol table of volatility3, and the types that are made of it, looked at in every way. */
#include <string.h>

#include "fuzz.h"
#include "type/isf_types.h"

static bool look_at(void *user, const struct isf_symbol *symbol)
{
	const struct bytes *text = user;
	uint8_t data[64];

	FUZZ_CHECK(symbol->name.size <= text->size && symbol->type.count <= ISF_CHAIN_LIMIT);
	FUZZ_CHECK(isf_decode_data(symbol->constant_data, data, sizeof(data)) <= sizeof(data));
	return true;
}

/* False: it is as long as may be, and several such take longer than there is time for. */
static bool visit(const struct kioku_types *types, uint32_t id)
{
	struct kioku_member member;
	char *text;

	(void)kioku_type_size(types, id);
	for (uint32_t i = 0; i < 4 && kioku_type_member_at(types, id, i, &member); i++)
		(void)!kioku_type_member(types, id, member.name, &member, NULL);
	enum kioku_status status = kioku_type_print(types, id, &text, NULL);
	if (status == KIOKU_OK)
		free(text);
	return status != KIOKU_ERROR_LIMIT;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes text = { data, size };
	struct kioku_types *types = NULL;
	struct isf_summary summary;

	if (types_from_isf(text, look_at, &text, &types, &summary, NULL) != KIOKU_OK)
		return 0;
	FUZZ_CHECK(!types_flaw(types));
	uint32_t count = kioku_types_count(types);
	for (uint32_t id = 0; id <= count && id < 50 && visit(types, id); id++)
		;
	types_close(types);
	return 0;
}
