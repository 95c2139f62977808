/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An ELF file's DWARF, which libdw reads from a descriptor, and the types that are made of it. */
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "fuzz.h"
#include "type/dwarf_types.h"

/* How types are printed is for others to try: it takes long with sanitizers. */
static void visit(const struct kioku_types *types, uint32_t id)
{
	struct kioku_member member;

	(void)kioku_type_size(types, id);
	for (uint32_t i = 0; i < 4 && kioku_type_member_at(types, id, i, &member); i++)
		(void)!kioku_type_member(types, id, member.name, &member, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_CLOSE int descriptor = memfd_create("dwarf", MFD_CLOEXEC);
	struct kioku_types *types = NULL;
	struct dwarf_summary summary;

	FUZZ_CHECK(descriptor >= 0 && write(descriptor, data, size) == (ssize_t)size);
	if (types_from_dwarf(descriptor, &types, &summary, NULL) != KIOKU_OK)
		return 0;
	FUZZ_CHECK(!types_flaw(types));
	uint32_t count = kioku_types_count(types);
	for (uint32_t id = 0; id <= count && id < 50; id++)
		visit(types, id);
	types_close(types);
	return 0;
}
