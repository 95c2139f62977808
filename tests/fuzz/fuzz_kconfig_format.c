/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/scan.h"
#include "format/kconfig_format.h"
#include "fuzz.h"

static void check_inside(struct bytes part, struct bytes whole)
{
	FUZZ_CHECK(part.size == 0 ||
		   (part.data >= whole.data && part.data + part.size <= whole.data + whole.size));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes text = { data, size }, bytes, packed;
	struct kconfig_line line;

	for (size_t offset = 0; scan_line(text, &offset, &bytes);) {
		enum kconfig_line_kind kind = kconfig_line_decode(bytes, &line);
		FUZZ_CHECK(kind == line.kind);
		check_inside(line.name, bytes);
		FUZZ_CHECK((kind == KCONFIG_OPTION) == (line.name.size > 0));
		FUZZ_CHECK(kind != KCONFIG_OPTION || line.value.size > 0);
		FUZZ_CHECK(line.name.size <= KCONFIG_NAME_LIMIT);
		if (!bytes_equal(line.value, SCAN_LITERAL("n")))
			check_inside(line.value, bytes);
		check_inside(kconfig_unquoted(line.value), line.value);
	}
	if (ikconfig_packed(text, &packed))
		check_inside(packed, text);
	return 0;
}
