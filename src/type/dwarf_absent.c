/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What this build has instead of dwarf_types.c, without libdw. */
#include "base/error.h"
#include "type/dwarf_types.h"

bool dwarf_is_readable(void)
{
	return false;
}

enum kioku_status types_from_dwarf(int descriptor, struct kioku_types **out,
				   struct dwarf_summary *summary, struct kioku_error *error)
{
	return error_set(error, KIOKU_ERROR_UNSUPPORTED,
			 "this build reads no DWARF: it was made without libdw (elfutils)");
}
