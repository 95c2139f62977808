/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VIEW_PERMISSIONS_H
#define VIEW_PERMISSIONS_H

#include <kioku/address.h>

#define PERMISSIONS_SIZE 5
#define PERMISSIONS_HELP "r, w and x as the page tables allow them, u if user mode may; - where not"

static inline void permissions_text(uint32_t permissions, char out[PERMISSIONS_SIZE])
{
	out[0] = permissions & KIOKU_PERMISSION_READ ? 'r' : '-';
	out[1] = permissions & KIOKU_PERMISSION_WRITE ? 'w' : '-';
	out[2] = permissions & KIOKU_PERMISSION_EXECUTE ? 'x' : '-';
	out[3] = permissions & KIOKU_PERMISSION_USER ? 'u' : '-';
	out[4] = 0;
}

#endif
