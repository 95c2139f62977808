/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef HOOK_LIST_H
#define HOOK_LIST_H

#include <stdio.h>

/*
 * The netfilter hooks of the network namespace that we are in, as nfnetlink_hook tells of them, where there is
 * such a module: "FAMILY HOOK PRIORITY INTERFACE FUNCTION MODULE" each, numbers and names, "-" for none.
 */
void list_hooks(FILE *out);

#endif
