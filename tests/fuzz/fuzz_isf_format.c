/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A symbol table of volatility3, and the types that are made of it, looked at in every way. */
#include "type/isf_types.h"
#include "visit_type.h"

static bool look_at(void *user, const struct isf_symbol *symbol)
{
	const struct bytes *text = user;
	uint8_t data[64];

	FUZZ_CHECK(symbol->name.size <= text->size && symbol->type.count <= ISF_CHAIN_LIMIT);
	FUZZ_CHECK(isf_decode_data(symbol->constant_data, data, sizeof(data)) <= sizeof(data));
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes text = { data, size };
	struct kioku_types *types = NULL;
	struct isf_summary summary;
	bool prints = true;

	if (types_from_isf(text, look_at, &text, &types, &summary, NULL) != KIOKU_OK)
		return 0;
	FUZZ_CHECK(!types_flaw(types));
	uint32_t count = kioku_types_count(types);
	for (uint32_t id = 0; id <= count && id < 50; id++)
		visit_type(types, id, &prints);
	types_close(types);
	return 0;
}
