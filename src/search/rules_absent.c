/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* In place of rules.c where there is no libyara. */
#include "search/rules.h"

enum kioku_status rules_compile(const char *path, struct rules **out, struct kioku_error *error)
{
	return error_set(error, KIOKU_ERROR_UNSUPPORTED, "this build of kioku has no libyara");
}

void rules_release(struct rules *rules)
{
}

enum kioku_status rules_scan(struct rules *rules, struct rule_scan *scan, struct kioku_error *error)
{
	return error_set(error, KIOKU_ERROR_UNSUPPORTED, "this build of kioku has no libyara");
}
